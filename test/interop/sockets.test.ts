/**
 * Socket options with BIRD and FRR: TCP MD5 (RFC 2385) both ways, over IPv4 and IPv6, by neighbour and by range, with right and wrong keys, changed while sessions
 * run; GTSM (RFC 5082); what the packets look like; and a speaker that cannot make system calls.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { NeighborView } from '../../src/api/types.js'
import { REQUIREMENTS } from '../support/daemons/index.js'
import { Process } from '../support/daemons/process.js'
import { Segment } from '../support/daemons/segment.js'
import { MAIN, Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'
import { BIRD_TIMERS, frrTimers, PlainBird, PlainFrr } from './plain-daemons.js'

const ASN = 64512
const SHORT = { asn: ASN, connectRetry: '1s', holdTime: '9s' }

class Speaker extends Nodebgp {
  env: Record<string, string> = {}
  protected override async launch(): Promise<Process> {
    this.writeConfiguration()
    return new Process(this.host.netns, this.logFile, process.execPath, [MAIN, 'run', '-c', this.file], this.env)
  }

  isUp(address: string): Promise<NeighborView> {
    return until(
      `the session with ${address} is up`,
      () => this.neighbor(address),
      ({ state }) => state === 'Established',
    )
  }

  shows(address: string, what: string, accept: (view: NeighborView) => boolean): Promise<NeighborView> {
    return until(`${address}: ${what}`, () => this.neighbor(address), accept)
  }

  log(): string {
    return readFileSync(this.logFile, 'utf8')
  }
}

t.test('socket options with BIRD and FRR', async (t) => {
  const needed = [REQUIREMENTS.bird, REQUIREMENTS.frr]
  const commands = [...needed.flatMap((one) => one.commands), 'ip', 'tcpdump']
  const packages = [...needed.map((one) => one.package), 'iproute2', 'tcpdump']
  if (!requireOrSkip(t, { commands, packages, root: true })) return
  const segment = new Segment(t)
  const here = segment.host('us', 1)
  const birdHost = segment.host('bird', 2)
  const frrHost = segment.host('frr', 3)
  const twinHost = segment.host('twin', 4)
  const rangeHost = segment.host('range', 130)
  const keyFile = join(here.dir, 'bird.key')
  writeFileSync(keyFile, 'pw-bird\n')

  /** By name: what a test changes. */
  const neighbors: Record<string, Record<string, unknown>> = {
    bird4: { address: birdHost.v4, passwordFile: keyFile },
    bird6: { address: birdHost.v6, password: 'pw-bird6', passive: true },
    frr4: { address: frrHost.v4, passwordEnv: 'FRR_KEY', passive: true },
    frr6: { address: frrHost.v6, password: 'pw-frr6' },
    wide: { range: '172.31.5.128/25', password: 'pw-wide' },
    nodes: { range: '172.31.5.128/26', password: 'pw-range' },
    nodes6: { range: 'fd00:5::80/121', password: 'pw-range6' },
    twin4: { address: twinHost.v4, password: 'pw-twin', passive: true },
    twin6: { address: twinHost.v6, password: 'pw-twin' },
  }
  const listed = () => Object.entries(neighbors).map(([name, keys]) => ({ name, ...SHORT, ...keys }))
  const us = segment.add(new Speaker({ host: here, asn: ASN, peers: [] }))
  us.env = { FRR_KEY: 'pw-frr' }
  const reload = async (): Promise<void> => {
    us.overrides = { ...us.overrides, neighbors: listed() }
    const before = us.logged('config-reloaded')
    us.reload()
    await until('the reload is done', () => us.logged('config-reloaded') > before)
  }
  us.overrides = {
    neighbors: listed(),
    listen: [{ address: '::', port: 179 }],
    api: { socket: us.socket, http: '127.0.0.1:9179' },
  }

  const birdPeer = (name: string, local: string, remote: string, more: string): string =>
    `protocol bgp ${name} { local ${local} port 179 as ${ASN}; neighbor ${remote} as ${ASN}; strict bind on; direct; ${BIRD_TIMERS} ${more}
  ${local.includes(':') ? 'ipv6' : 'ipv4'} { import all; export all; }; }`
  const birdText = (four: string, six: string): string =>
    [
      // We connect.
      birdPeer('four', birdHost.v4, here.v4, `passive on; ${four}`),
      // It connects.
      birdPeer('six', birdHost.v6, here.v6, six),
    ].join('\n')
  const bird = segment.add(new PlainBird(birdHost, birdText('password "pw-bird";', 'password "pw-bird6";')))
  const frr = segment.add(
    new PlainFrr(
      frrHost,
      `router bgp ${ASN}
 bgp router-id ${frrHost.v4}
 neighbor ${here.v4} remote-as ${ASN}
 neighbor ${here.v4} password pw-frr
 ${frrTimers(here.v4)}
 neighbor ${here.v6} remote-as ${ASN}
 neighbor ${here.v6} password pw-frr6
 neighbor ${here.v6} passive
 ${frrTimers(here.v6)}
 address-family ipv6 unicast
  neighbor ${here.v6} activate
 exit-address-family`,
    ),
  )
  const ranged = segment.add(
    new PlainBird(
      rangeHost,
      [
        birdPeer('wide', rangeHost.v4, here.v4, 'password "pw-range";'),
        birdPeer('wide6', rangeHost.v6, here.v6, 'password "pw-range6";'),
      ].join('\n'),
    ),
  )
  // One of ours, which connects over IPv4 and waits over IPv6.
  const twinKey = join(twinHost.dir, 'twin.key')
  writeFileSync(twinKey, 'pw-twin')
  const twin = segment.add(new Speaker({ host: twinHost, asn: ASN, peers: [] }))
  twin.overrides = {
    neighbors: [
      { name: 'us4', ...SHORT, address: here.v4, passwordFile: twinKey },
      { name: 'us6', ...SHORT, address: here.v6, passwordFile: twinKey, passive: true },
    ],
    api: { socket: twin.socket, http: '127.0.0.1:9179' },
  }
  const dump = segment.add(
    new Process(here.netns, join(here.dir, 'dump.log'), 'tcpdump', [
      '-n',
      '-v',
      '-l',
      '-i',
      'eth0',
      'tcp',
      'port',
      '179',
    ]),
  )
  await until('tcpdump listens', () => /listening on/.test(readFileSync(join(here.dir, 'dump.log'), 'utf8')))
  await Promise.all([us.start(), bird.start(), frr.start(), ranged.start(), twin.start()])

  await t.test('right keys: active and passive, IPv4 and IPv6, ranges, the most specific one', async (t) => {
    for (const address of [birdHost.v4, birdHost.v6, frrHost.v4, frrHost.v6]) await us.isUp(address)
    for (const address of [rangeHost.v4, rangeHost.v6]) await us.isUp(address)
    t.equal((await us.neighbor(rangeHost.v4)).rangeName, 'nodes')
  })

  await t.test('on the wire: signed, and DSCP CS6', async (t) => {
    dump.signal('SIGTERM')
    const lines = readFileSync(join(here.dir, 'dump.log'), 'utf8').split('\n')
    for (const [what, from] of [
      ['IPv4', here.v4],
      ['IPv6', here.v6],
    ] as const) {
      const at = lines.flatMap((line, i) => (line.includes(` ${from}.`) || line.includes(` ${from}.179 >`) ? [i] : []))
      const ours = at.filter((i) => new RegExp(`${from.replaceAll('.', '\\.')}\\.\\d+ > `).test(lines[i]!))
      t.ok(ours.length > 10, `${what}: packets of ours`)
      for (const i of ours) {
        if (!lines[i]!.includes('md5')) t.fail(`${what}: not signed: ${lines[i]}`)
        const header = what === 'IPv4' ? lines[i - 1]! : lines[i]!
        if (!(what === 'IPv4' ? /tos 0xc0/ : /class 0xc0/).test(header)) t.fail(`${what}: not CS6: ${header}`)
      }
    }
  })

  await t.test('secrets stay secret', async (t) => {
    const views = JSON.stringify([await us.get('/v1/neighbors'), await us.summary()])
    t.match(views, '"password":true')
    const shown = views + us.log() + (await us.command('show', 'neighbors')) + (await us.command('reload', '--diff'))
    t.notMatch(shown, /pw-\w+/)
  })

  await t.test('another key by reload: the session goes on with it, the others do not notice', async (t) => {
    const addresses = [birdHost.v4, birdHost.v6, frrHost.v4, rangeHost.v4, twinHost.v4, twinHost.v6]
    for (const address of addresses) await us.isUp(address)
    const before = await Promise.all(addresses.map((address) => us.neighbor(address)))
    neighbors['twin4'] = { address: twinHost.v4, password: 'pw-next', passive: true }
    neighbors['twin6'] = { address: twinHost.v6, password: 'pw-next' }
    await reload()
    t.match(us.log(), /neighbors changed: twin4 \(password\), twin6 \(password\)/)
    // What we send now is dropped over there until it has the key, too; then it is sent again.
    us.own.set('10.244.1.0/26', { prefix: '10.244.1.0/26' })
    us.own.set('fd00:244:1::/122', { prefix: 'fd00:244:1::/122' })
    await reload()
    await until('signed with the new key', async () => {
      const { body } = await twin.http('/metrics')
      return /md5-failure"\} [1-9]/.test(body)
    })
    t.notOk((await twin.rib('ipv4-unicast')).some(({ prefix }) => prefix === '10.244.1.0/26'))
    writeFileSync(twinKey, 'pw-next\n')
    twin.reload()
    await twin.learned('10.244.1.0/26')
    await twin.learned('fd00:244:1::/122')
    const after = await Promise.all(addresses.map((address) => us.neighbor(address)))
    for (const [i, view] of after.entries()) {
      t.equal(view.state, 'Established', view.name)
      t.equal(view.establishedCount, before[i]!.establishedCount, `${view.name} has not been down`)
    }
    await twin.kill()
    await twin.start()
    await us.isUp(twinHost.v4)
    await us.isUp(twinHost.v6)
    t.pass('and the next session has it from the start')
  })

  await t.test('wrong key, no key, a key that nobody wants: said where an operator looks', async (t) => {
    neighbors['bird4'] = { address: birdHost.v4, password: 'wrong-one', passive: false }
    neighbors['bird6'] = { address: birdHost.v6, password: 'wrong-six', passive: true }
    neighbors['frr4'] = { address: frrHost.v4, passive: true }
    await reload()
    await us.command('neighbor', 'bird4', 'clear')
    await us.command('neighbor', 'bird6', 'clear')
    const active = await us.shows(birdHost.v4, 'no answer', ({ lastReason }) => /no answer/.test(lastReason))
    t.match(active.lastReason, /no answer from 172\.31\.5\.2:179: unreachable, not listening, or wrong password/)
    const passive = await us.shows(birdHost.v6, 'a hint', ({ notes }) =>
      notes.some((note) => /TCPMD5Failure/.test(note)),
    )
    t.match(passive.notes.join(), /signed with another password/)
    const unexpected = await us.shows(frrHost.v4, 'a hint', ({ notes }) =>
      notes.some((n) => /TCPMD5Unexpected/.test(n)),
    )
    t.match(unexpected.notes.join(), /a password is configured at the other end, and not here/)
    t.match(await us.command('show', 'neighbors', 'bird6'), /Note: .*TCPMD5Failure/)
    await until('the log says it, too', () => /TCPMD5Failure: \d+ more\); .*bird6/.test(us.log()))
    t.equal(
      us
        .log()
        .split('\n')
        .filter((line) => /neighbor bird4: no answer/.test(line)).length,
      1,
      'once',
    )
    t.match((await us.http('/metrics')).body, /^bgp_tcp_dropped_segments_total\{reason="md5-failure"\} [1-9]/m)
    t.match((await us.http('/metrics')).body, /^bgp_tcp_dropped_segments_total\{reason="md5-unexpected"\} [1-9]/m)
    t.notMatch(us.log(), /wrong-one|wrong-six/)
    neighbors['bird4'] = { address: birdHost.v4, password: 'pw-bird' }
    neighbors['bird6'] = { address: birdHost.v6, password: 'pw-bird6', passive: true }
    neighbors['frr4'] = { address: frrHost.v4, passwordEnv: 'FRR_KEY', passive: true }
    await reload()
    for (const address of [birdHost.v4, birdHost.v6, frrHost.v4]) await us.isUp(address)
  })

  await t.test('GTSM and multihop, both ways', async (t) => {
    const gtsm = (more: string): string => birdText(more, more)
    neighbors['bird4'] = { address: birdHost.v4, ttlSecurity: 1 }
    neighbors['bird6'] = { address: birdHost.v6, ttlSecurity: 1, passive: true }
    neighbors['frr6'] = { address: frrHost.v6, password: 'pw-frr6', multihop: 3 }
    await reload()
    await bird.configure(gtsm('ttl security on;'))
    for (const address of [birdHost.v4, birdHost.v6, frrHost.v6]) await us.isUp(address)
    t.same((await us.neighbor(birdHost.v4)).sockets, { ttlSecurityHops: 1 })
    await bird.configure(gtsm('ttl security off;'))
    await bird.ask('restart', 'four')
    await bird.ask('restart', 'six')
    for (const address of [birdHost.v4, birdHost.v6]) {
      const view = await us.shows(address, 'a hint', ({ notes }) => notes.some((note) => /TCPMinTTLDrop/.test(note)))
      t.ok(view.notes.some((note) => /is ttlSecurity on there\?/.test(note)))
    }
    // The other way round: it asks for it, and we do not.
    neighbors['bird4'] = { address: birdHost.v4, multihop: 1 }
    neighbors['bird6'] = { address: birdHost.v6, multihop: 1, passive: true }
    await reload()
    for (const address of [birdHost.v4, birdHost.v6]) await us.isUp(address)
    await bird.configure(gtsm('ttl security on;'))
    for (const address of [birdHost.v4, birdHost.v6])
      await us.shows(address, 'down', ({ state }) => state !== 'Established')
    neighbors['bird4'] = { address: birdHost.v4, ttlSecurity: 2, bindDevice: 'eth0' }
    neighbors['bird6'] = { address: birdHost.v6, ttlSecurity: 1, passive: true, bindDevice: 'eth0' }
    await reload()
    for (const address of [birdHost.v4, birdHost.v6]) await us.isUp(address)
    neighbors['bird4'] = { address: birdHost.v4, ttlSecurity: 1, bindDevice: 'eth9' }
    await reload()
    await us.shows(birdHost.v4, 'no such interface', ({ lastReason }) =>
      /bindDevice eth9: there is no such/.test(lastReason),
    )
  })

  await t.test('without system calls: refused, never a session without what was asked for', async (t) => {
    await us.stop()
    us.env = { ...us.env, NODEBGP_SYS: 'none' }
    neighbors['bird4'] = { address: birdHost.v4, ttlSecurity: 1 }
    neighbors['bird6'] = { address: birdHost.v6, passive: true }
    us.overrides = { ...us.overrides, neighbors: listed() }
    await bird.configure(`${birdPeer('four', birdHost.v4, here.v4, '')}\n${birdPeer('six', birdHost.v6, here.v6, '')}`)
    await ranged.configure(birdPeer('wide', rangeHost.v4, here.v4, ''))
    await us.start()
    await us.isUp(birdHost.v6)
    const view = await us.neighbor(birdHost.v4)
    t.equal(view.state, 'Idle')
    t.match(view.lastReason, /^ttlSecurity: needs system calls, and nothing here provides them: NODEBGP_SYS=none/)
    t.match((await us.neighbor(frrHost.v4)).lastReason, /^password: needs system calls/)
    const { peers } = await us.summary()
    t.match(
      peers.find(({ name }) => name === 'nodes'),
      { stateText: 'Idle', lastReason: /^password: needs/ },
    )
    t.match(us.log(), /neighbor bird4 stays down: ttlSecurity: needs system calls/)
    // They connect; nothing is Established but the one that asks for nothing.
    await until('connections of both are refused', async () => {
      const { connections } = await us.summary()
      return (connections?.refusedConnections ?? 0) >= 2 && /172\.31\.5\.130 refused/.test(us.log())
    })
    const up = (await us.summary()).peers.filter(({ state }) => state === 'Established').map(({ name }) => name)
    t.same(up, ['bird6'])
  })
})
