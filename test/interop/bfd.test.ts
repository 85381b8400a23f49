/**
 * BFD with BIRD and FRR (RFC 5880, 5881, 9384): it comes up, a frozen and a cut-off peer are gone by it and not by the hold timer, AdminDown is no failure, timers
 * change on the live session, and a main loop that does not turn keeps it up. The times that it took are printed, not judged: the machine may be busy. So most
 * of it is done at a pace that a busy machine keeps, and only what is about 3 × 100 ms at that one.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { BfdSessionView, BfdView } from '../../src/api/types.js'
import { REQUIREMENTS } from '../support/daemons/index.js'
import { Process, runIn } from '../support/daemons/process.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import { MAIN, Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'
import { BIRD_TIMERS, frrTimers, PlainBird, PlainFrr } from './plain-daemons.js'

const ASN = 64512
const TIMERS = 'min rx interval 100 ms; min tx interval 100 ms; multiplier 3;'
const CALM = { interval: '500ms', multiplier: 3 }
const CALM_MS = 1500
const FAST = { interval: '100ms', multiplier: 3 }
const FAST_MS = 300
/** A machine that does not run anybody for 300 ms ends sessions, too; one that holds is enough, as all of them end where the main loop is what answers. */
const TRIES = 8
/** The figure in bench/README.md is with a million. */
const BULK = Number(process.env['NODEBGP_BFD_ROUTES'] ?? 200_000)

/** SIGUSR2 holds its main loop for two seconds. */
class Subject extends Nodebgp {
  env: Record<string, string> = {}

  protected override async launch(): Promise<Process> {
    this.writeConfiguration()
    const hold = "console.error('held');Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0,2000)"
    const hook = `import{isMainThread}from'node:worker_threads';if(isMainThread)process.on('SIGUSR2',()=>{${hold}})`
    const env = { ...this.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hook)}` }
    return new Process(this.host.netns, this.logFile, process.execPath, [MAIN, 'run', '-c', this.file], env)
  }

  /** Blocks the main loop. Resolves when it has begun. */
  async hold(): Promise<void> {
    const before = this.#heldCount()
    this.process?.signal('SIGUSR2')
    await until('the main loop is held', () => this.#heldCount() > before)
  }

  #heldCount(): number {
    return readFileSync(this.logFile, 'utf8')
      .split('\n')
      .filter((line) => line === 'held').length
  }

  bfd(): Promise<BfdView> {
    return this.get('/v1/bfd') as Promise<BfdView>
  }

  async bfdTo(address: string): Promise<BfdSessionView> {
    const { sessions } = await this.bfd()
    const found = sessions.find((one) => one.address === address)
    if (found === undefined) throw new Error(`no BFD to ${address}`)
    return found
  }

  /** Up, and both sides have the fast pace. */
  async isUp(address: string, detectionMs = CALM_MS): Promise<NonNullable<BfdSessionView['session']>> {
    const { session } = await until(
      `BFD to ${address} is up at its pace`,
      () => this.bfdTo(address),
      ({ state, session }) => state === 'Up' && session?.detectionMs === detectionMs && !session.polling,
    )
    return session!
  }

  /** Lines of the log. */
  lines(): LogLine[] {
    const text = readFileSync(this.logFile, 'utf8').split('\n')
    return text.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine)
  }
}

/** The part of a tap test that is used here. */
type Checks = Pick<typeof t, 'match' | 'comment'>

interface LogLine {
  readonly time: number
  readonly event: string
  readonly peer?: string
  readonly from?: string
  readonly to?: string
  readonly reason?: string
}

t.test('BFD with BIRD and FRR', async (t) => {
  const needed = [REQUIREMENTS.bird, REQUIREMENTS.frr]
  const commands = [...needed.flatMap((one) => one.commands), '/usr/lib/frr/bfdd', 'ip', 'tcpdump']
  const packages = [...needed.map((one) => one.package), 'iproute2', 'tcpdump']
  if (!requireOrSkip(t, { commands, packages, root: true })) return
  const segment = new Segment(t)
  const here = segment.host('us', 1)
  const [birdHost, frrHost, nodeHost] = [segment.host('bird', 2), segment.host('frr', 3), segment.host('node', 4)]
  const bulkHost = segment.host('bulk', 5)
  const [ourLink, nodeLink] = [await linkLocal(here), await linkLocal(nodeHost)]
  const listen = [{ address: '0.0.0.0' }, { address: '::' }]
  const common = { asn: ASN, connectRetry: '1s', holdTime: '90s' }
  const neighbors = (bfd: unknown): Record<string, unknown>[] => [
    { name: 'bird', address: birdHost.v4, ...common, bfd },
    { name: 'bird6', address: birdHost.v6, ...common, bfd: { ...CALM, multihop: true } },
    { name: 'frr', address: frrHost.v4, ...common, bfd },
    { name: 'link', address: `${nodeLink}%eth0`, ...common, passive: true, bfd: CALM },
    { name: 'nodes', range: '172.31.5.4/32', ...common, connectRetry: '1s', bfd },
    { name: 'bulk', address: bulkHost.v4, ...common, passive: true },
  ]
  const us = segment.add(new Subject({ host: here, asn: ASN, peers: [] }, { listen, neighbors: neighbors(CALM) }))
  const nodePeers = (bfd: unknown) => [
    { name: 'us', address: here.v4, ...common, bfd },
    { name: 'link', address: `${ourLink}%eth0`, ...common, bfd: CALM },
  ]
  const node = segment.add(new Subject({ host: nodeHost, asn: ASN, peers: [] }, { listen, neighbors: nodePeers(CALM) }))
  // As where neither koffi nor node:ffi is there.
  node.env = { NODEBGP_SYS: 'none' }
  const bird = segment.add(
    new PlainBird(
      birdHost,
      `protocol static { ipv4; route 10.244.2.0/26 blackhole; }
protocol bfd bfd1 { interface "eth0" { ${TIMERS} }; multihop { ${TIMERS} }; }
template bgp plain { ${BIRD_TIMERS.replace('hold time 9', 'hold time 90')} bfd on; ipv4 { import all; export all; }; }
protocol bgp four from plain { local ${birdHost.v4} as ${ASN}; neighbor ${here.v4} as ${ASN}; direct; }
protocol bgp six from plain { local ${birdHost.v6} as ${ASN}; neighbor ${here.v6} as ${ASN}; multihop 2; ipv6 { import all; export none; }; }`,
    ),
  )
  const frr = segment.add(
    new PlainFrr(
      frrHost,
      `router bgp ${ASN}
 bgp router-id ${frrHost.v4}
 neighbor ${here.v4} remote-as ${ASN}
 neighbor ${here.v4} bfd 3 100 100
 ${frrTimers(here.v4).replace('timers 3 9', 'timers 30 90')}`,
      { bfd: true },
    ),
  )
  const bulk = segment.add(
    new PlainBird(
      bulkHost,
      `protocol static { ipv4; ${Array.from({ length: BULK }, (_, n) => `route ${11 + (n >> 16)}.0.${(n >> 8) & 255}.${n & 255}/32 blackhole;`).join('\n')} }
protocol bgp b { local ${bulkHost.v4} as ${ASN}; neighbor ${here.v4} as ${ASN}; direct; ${BIRD_TIMERS} ipv4 { import none; export all; }; }`,
    ),
  )
  await Promise.all([us.start(), node.start(), bird.start(), frr.start()])

  /** Ends a peer by `fail`, and says by what it was noticed. */
  const goneByBfd = async (t: Checks, name: string, host: Host, fail: () => void): Promise<void> => {
    await us.isUp(host.v4, FAST_MS)
    const before = us.lines().length
    const failedAt = Date.now()
    fail()
    await until(`${name} is gone`, async () => (await us.sessions()).get(host.v4) !== 'Established')
    const lines = us.lines().slice(before)
    const change = lines.find((line) => line.event === 'bfd-state' && line.peer === name && line.from === 'Up')
    const end = lines.find(
      (line) => line.event === 'session-state' && line.peer === name && line.from === 'Established',
    )
    t.match(change?.reason, /nothing heard for \d+ ms; the detection time is 300 ms/, `${name}: BFD noticed`)
    t.match(end?.reason, /6\/10 \(Cease\/BFD Down\): BFD is down/, 'and ended the session')
    t.comment(`${name}: gone ${end === undefined ? '?' : end.time - failedAt} ms after the failure, ${change?.reason}`)
  }

  t.test('comes up, and both ends agree', async (t) => {
    const toBird = await us.isUp(birdHost.v4)
    const toFrr = await us.isUp(frrHost.v4)
    t.equal((await us.bfd()).checksHopLimit, true)
    t.match(await bird.ask('show', 'bfd', 'sessions'), /172\.31\.5\.1 +eth0 +Up .* 0\.500 +1\.500/)
    const peers = JSON.parse(await frr.askBfd('show bfd peers json')) as unknown[]
    t.match(peers, [
      { peer: here.v4, status: 'up', id: toFrr.remoteDiscriminator, 'remote-id': toFrr.localDiscriminator },
    ])
    t.ok(toBird.sourcePort >= 49152)
    t.equal(toBird.multihop, false)
    t.match(await us.command('show', 'bfd'), /bird +172\.31\.5\.2 +Up +Up .* 500 ms +500 ms +1500 ms/)
    t.match(await us.command('show', 'neighbors', 'bird'), /BFD: +Up/)
  })

  t.test('IPv6 over several hops (RFC 5883), a link-local session, and a neighbour of a range', async (t) => {
    t.equal((await us.isUp(birdHost.v6)).multihop, true)
    t.match(await bird.ask('show', 'bfd', 'sessions'), /fd00:5::1 +--- +Up/)
    t.equal((await us.isUp(`${nodeLink}%eth0`)).multihop, false)
    const dynamic = await until(
      'the dynamic one',
      () => us.bfdTo(nodeHost.v4),
      ({ state }) => state === 'Up',
    )
    t.match(dynamic, { dynamic: true, rangeName: 'nodes' })
  })

  t.test('a packet from further away is not taken (RFC 5881 §5), one from the link is', async (t) => {
    const before = await us.isUp(birdHost.v4)
    await stranger(birdHost, here, 64)
    await until(
      'packets that came after it',
      () => us.bfdTo(birdHost.v4),
      ({ session }) => (session?.packetsReceived ?? 0) > before.packetsReceived + 3,
    )
    t.match(await us.isUp(birdHost.v4), { downs: before.downs, localDiscriminator: before.localDiscriminator })
    await stranger(birdHost, here, 255)
    await until('the peer says Down, as it seems', () =>
      us.lines().some(({ reason }) => /6\/10.*the peer says that its side is Down/.test(reason ?? '')),
    )
    await us.isUp(birdHost.v4)
  })

  t.test('without a provider of system calls it says so, and takes only who knows its discriminator', async (t) => {
    const { checksHopLimit, notes } = await node.bfd()
    t.equal(checksHopLimit, false)
    t.match(notes, [/hop limit of BFD packets cannot be checked.*NODEBGP_SYS=none/])
    const before = await node.isUp(here.v4)
    await stranger(here, nodeHost, 64)
    await until(
      'it is thrown away',
      () => node.bfd(),
      ({ discarded }) => discarded['hop limit unknown'] === 1,
    )
    t.match(await node.isUp(here.v4), { downs: before.downs, localDiscriminator: before.localDiscriminator })
  })

  t.test('a reload changes the timers of the live session', async (t) => {
    const before = await us.isUp(birdHost.v4)
    const dropped = async (host: Host): Promise<number> => (await us.neighbor(host.v4)).droppedCount
    const [birdDropped, frrDropped] = [await dropped(birdHost), await dropped(frrHost)]
    us.overrides = { listen, neighbors: neighbors({ interval: '800ms', minReceive: '600ms', multiplier: 4 }) }
    us.reload()
    const after = await us.isUp(birdHost.v4, 1800)
    t.match(after, {
      transmitMs: 800,
      receiveMs: 600,
      downs: before.downs,
      localDiscriminator: before.localDiscriminator,
    })
    await bird.shows(/172\.31\.5\.1 +eth0 +Up .* 0\.600 +3\.200/, 'show', 'bfd', 'sessions')
    us.overrides = { listen, neighbors: neighbors(CALM) }
    us.reload()
    await us.isUp(birdHost.v4)
    await us.isUp(frrHost.v4)
    t.same([await dropped(birdHost), await dropped(frrHost)], [birdDropped, frrDropped], 'no BGP session was lost')
  })

  t.test('AdminDown of the peer is no failure (RFC 5882 §3.2)', async (t) => {
    const { localDiscriminator } = await us.isUp(nodeHost.v4)
    node.overrides = { listen, neighbors: nodePeers(false) }
    node.reload()
    const down = await until(
      'Down',
      () => us.bfdTo(nodeHost.v4),
      ({ state }) => state === 'Down',
    )
    t.match(down, { lastDown: /AdminDown/, session: { localDiscriminator, remoteState: 'AdminDown' } })
    node.overrides = { listen, neighbors: nodePeers(CALM) }
    node.reload()
    t.match(await us.isUp(nodeHost.v4), { localDiscriminator, ups: 2 })
    t.match(await us.neighbor(nodeHost.v4), { state: 'Established', droppedCount: 0 })
  })

  t.test('3 × 100 ms: a main loop that does not turn for two seconds, and many routes, keep it up', async (t) => {
    us.overrides = { listen, neighbors: neighbors(FAST) }
    us.reload()
    node.overrides = { listen, neighbors: nodePeers(FAST) }
    node.reload()
    const addresses = [birdHost.v4, frrHost.v4, nodeHost.v4]
    const areUp = () => Promise.all(addresses.map((address) => us.isUp(address, FAST_MS)))
    /** True: no session ended while `work` ran. */
    const holds = async (work: () => Promise<void>): Promise<boolean> => {
      const before = await areUp()
      await work()
      const after = await areUp()
      const sent = after.map(({ packetsSent }, index) => packetsSent - before[index]!.packetsSent)
      t.comment(`${sent.join(', ')} packets sent`)
      return after.every(
        ({ localDiscriminator, downs }, index) =>
          localDiscriminator === before[index]!.localDiscriminator &&
          downs === before[index]!.downs &&
          sent[index]! >= 10,
      )
    }
    const oneHolds = async (work: () => Promise<void>): Promise<boolean> => {
      for (let left = TRIES; left > 0; left--) if (await holds(work)) return true
      return false
    }
    t.ok(await oneHolds(() => us.hold()), 'held')
    const loaded = async (): Promise<void> => {
      await bulk.kill()
      await us.summaryShows('none of its routes', ({ families }) => families[0]!.prefixes < BULK)
      await bulk.start()
      await us.summaryShows('all routes are there', ({ families }) => families[0]!.prefixes > BULK)
    }
    t.ok(await oneHolds(loaded), 'loaded')
  })

  t.test('a frozen peer', async (t) => {
    await goneByBfd(t, 'bird', birdHost, () => bird.signal('SIGSTOP'))
    t.match(await us.command('show', 'errors', 'bird'), /session-reset, NOTIFICATION 6\/10 \(Cease\/BFD Down\)/)
    t.same(await us.get('/v1/rib?prefix=10.244.2.0/26'), [], 'its routes are gone')
    bird.signal('SIGCONT')
    await us.isUp(birdHost.v4, FAST_MS)
  })

  t.test('a peer that is cut off', async (t) => {
    await goneByBfd(t, 'frr', frrHost, () => segment.unplug(frrHost))
    segment.plug(frrHost)
    await us.isUp(frrHost.v4, FAST_MS)
  })

  t.test('we stop: BGP ends by its own words, and then the peers hear AdminDown', async (t) => {
    // Slow enough that a BIRD that is held for a moment is not missed by either side.
    us.overrides = { listen, neighbors: neighbors({ interval: '1s', minReceive: '1s', multiplier: 10 }) }
    us.reload()
    await us.isUp(birdHost.v4, 3000)
    const dumpFile = join(birdHost.dir, 'dump.log')
    const filter = `host ${here.v4} and (tcp port 179 or udp port 3784)`
    const dump = segment.add(
      new Process(birdHost.netns, dumpFile, 'tcpdump', ['-n', '-v', '-l', '-i', 'eth0', '--immediate-mode', filter]),
    )
    const packets = (): string[] => readFileSync(dumpFile, 'utf8').replaceAll(/\n\s+/g, ' ').split('\n')
    const ours = new RegExp(`${here.v4}\\.\\d+ > ${birdHost.v4}`)
    const closes = new RegExp(`${birdHost.v4}\\.\\d+ > ${here.v4}\\.\\d+: Flags \\[[^\\]]*[FR]`)
    const find = (pattern: RegExp): number => packets().findIndex((line) => ours.test(line) && pattern.test(line))
    await until('tcpdump listens', () => /listening on/.test(readFileSync(dumpFile, 'utf8')))
    const linesBefore = node.lines().length
    // What is said without an answer has all the time to arrive before BIRD goes on.
    bird.signal('SIGSTOP')
    const stopped = us.stop()
    await until('our NOTIFICATION', () => find(/Notification Message/) >= 0)
    bird.signal('SIGCONT')
    await stopped
    await until('our AdminDown', () => find(/State AdminDown/) >= 0)
    dump.signal('SIGTERM')
    const closed = packets().findIndex((line) => closes.test(line))
    t.ok(closed >= 0 && closed < find(/State AdminDown/), 'BIRD has closed the connection before')
    const told = await until(
      'the end of the session',
      () =>
        node
          .lines()
          .slice(linesBefore)
          .filter(({ from, peer }) => from === 'Established' && peer === 'us'),
      (lines) => lines.length > 0,
    )
    t.match(told[0]?.reason, /received NOTIFICATION .*6\/2 \(Cease\/Administrative Shutdown\)/)
    await until('BIRD has heard why', () => /four: Received: Administrative shutdown/.test(bird.log()))
  })
})

/** The link-local address of eth0, once duplicate detection has let it through. */
async function linkLocal({ ns, label }: Host): Promise<string> {
  const address = await until(`a link-local address of ${label}`, () => {
    const links = ns.ipJson('addr show dev eth0 scope link -tentative') as { addr_info: { local?: string }[] }[]
    return links.flatMap(({ addr_info }) => addr_info.flatMap(({ local }) => local ?? []))[0]
  })
  return address!
}

/** A BFD packet that says Down and knows nobody, from the address of `from`, with this TTL. */
async function stranger(from: Host, to: Host, ttl: number): Promise<void> {
  const packet = '20400318000000090000000000000001000000010000000000'.slice(0, 48)
  const script = `const s=require('dgram').createSocket('udp4');s.bind({address:'${from.v4}',port:0},()=>{s.setTTL(${ttl});s.send(Buffer.from('${packet}','hex'),3784,'${to.v4}',()=>s.close())})`
  await runIn(from.netns, process.execPath, '-e', script)
}
