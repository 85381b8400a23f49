/**
 * Restart without loss: kill -9, SIGTERM and an upgrade with a changed table, of a node and of its reflector, while Pods ping each other a hundred times a second through
 * the routes of three real daemons. Nothing is lost; what nobody confirms is swept after End-of-RIB, or after the bounded wait, and not before.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { FibEntry } from '../../src/fib/types.js'
import { Process, run } from '../support/daemons/process.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import { MAIN, Nodebgp } from '../support/nodebgp.js'
import { Pings } from '../support/pings.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'

const ASN = 64512
const FAMILIES = ['ipv4-unicast'] as const
const [BLOCK_A, BLOCK_B] = ['10.244.11.0/26', '10.244.12.0/26']
const [POD_A, POD_B] = ['10.244.11.10', '10.244.12.10']
/** Announced by node b; one of them goes while node a is down, and one comes. */
const [LEAVES, COMES, LATER] = ['10.244.21.0/26', '10.244.22.0/26', '10.244.23.0/26']
/** Node a by netlink where there are the system calls for it, node b through the program `ip`. */
const FIB = { driver: 'auto', accept: ['10.244.0.0/16'] }
const FIB_B = { ...FIB, driver: 'iproute2' }

if (requireOrSkip(t, { commands: ['ip', 'ping'], packages: ['iproute2', 'iputils-ping'], root: true })) {
  t.test(
    'a node and its reflector are killed, stopped and upgraded: no ping is lost, what is left over is swept',
    async (t) => {
      const segment = new Segment(t)
      const [hostR, hostA, hostB] = [segment.host('rr', 1), segment.host('node-a', 11), segment.host('node-b', 12)]
      const peer = (host: Host, client = false) => ({
        address: host.v4,
        asn: ASN,
        families: FAMILIES,
        graceful: { restartSeconds: 60, longLivedSeconds: 0 },
        client,
      })
      const node = (host: Host, fib: object, ...prefixes: string[]): Nodebgp =>
        segment.add(
          new Nodebgp(
            { host, asn: ASN, kernel: true, routes: prefixes.map((prefix) => ({ prefix })), peers: [peer(hostR)] },
            { fib },
          ),
        )
      const rr = segment.add(new Nodebgp({ host: hostR, asn: ASN, peers: [peer(hostA, true), peer(hostB, true)] }))
      const a = node(hostA, FIB, BLOCK_A)
      const b = node(hostB, FIB_B, BLOCK_B, LEAVES)
      const [podA, podB] = [segment.pod(hostA, POD_A), segment.pod(hostB, POD_B)]
      await Promise.all([rr.start(), a.start(), b.start()])
      await settled(a, BLOCK_A, BLOCK_B, LEAVES)
      await settled(b, BLOCK_A, BLOCK_B, LEAVES)

      const pings = [new Pings(hostA, podA, POD_B, 100), new Pings(hostB, podB, POD_A, 100)]
      t.teardown(() => Promise.all(pings.map((one) => one.kill())))
      const goOn = () => Promise.all(pings.map((one) => one.goOn()))
      await goOn()

      // kill -9: the kernel goes on; the next run takes the routes over and confirms them.
      const before = ours(hostA)
      await a.kill()
      await rr.notEstablished(hostA.v4)
      t.equal(ours(hostA), before, 'killed: the routes stay as they are')
      await goOn()
      await a.start()
      await settled(a, BLOCK_A, BLOCK_B, LEAVES)
      t.equal(ours(hostA), before, 'and are taken over as they are')
      const beforeB = ours(hostB)
      for (const end of [() => b.kill(), () => b.stop()]) {
        await end()
        t.equal(ours(hostB), beforeB, 'the same through the program ip')
        await goOn()
        await b.start()
        await settled(b, BLOCK_A, BLOCK_B, LEAVES)
        t.equal(ours(hostB), beforeB)
      }

      // SIGTERM, and another version started: the world has changed meanwhile, and somebody left a route under our number.
      await a.stop()
      t.equal(ours(hostA), before, 'stopped: the routes stay as they are')
      await b.withdraw(LEAVES)
      await b.announce({ prefix: COMES })
      await rr.learned(COMES, hostB.v4)
      await rr.lost(LEAVES, hostB.v4)
      hostA.ns.ip(`route add 10.244.77.0/26 via ${hostB.v4} proto 179`)
      a.own.set('10.244.11.64/26', { prefix: '10.244.11.64/26' })
      await goOn()
      await a.start()
      await settled(a, BLOCK_A, '10.244.11.64/26', BLOCK_B, COMES)
      t.notMatch(ours(hostA), /10\.244\.(77|21)\./, 'swept')
      await b.learned('10.244.11.64/26')

      // The reflector dies and comes back: both nodes keep what they had from it.
      await rr.kill()
      for (const one of [a, b]) await one.notEstablished(hostR.v4)
      await goOn()
      await rr.start()
      for (const one of [a, b]) await one.established(hostR.v4)
      await settled(a, BLOCK_A, '10.244.11.64/26', BLOCK_B, COMES)

      // Cut off: the reflector stands still when the node starts. What nobody could confirm stays, and is swept after End-of-RIB.
      await a.kill()
      rr.freeze()
      hostA.ns.ip(`route add 10.244.77.0/26 via ${hostB.v4} proto 179`)
      await a.start()
      const adopted = await until(
        'adopted',
        () => a.fib(),
        (entries) => stateOf(entries, '10.244.77.0/26') === 'adopted',
      )
      t.equal(stateOf(adopted, BLOCK_B), 'adopted')
      t.match(await a.command('show', 'fib'), /^Driver: (netlink \(auto found \w|iproute2 \(auto found no netlink: )/)
      t.match(await b.command('show', 'fib'), /^Driver: iproute2 \(as configured\)\nNetwork /)
      await goOn()
      t.match(ours(hostA), /10\.244\.77\.0/)
      rr.thaw()
      await settled(a, BLOCK_A, '10.244.11.64/26', BLOCK_B, COMES)
      t.notMatch(ours(hostA), /10\.244\.77\./, 'swept')
      await goOn()
      for (const one of pings) t.same(await one.stop(), [], `no ping lost: ${one.name}`)

      await t.test('a peer that never comes is waited for as long as fib.sweepAfter says', async (t) => {
        await a.stop()
        hostA.ns.ip(`route add 10.244.77.0/26 via ${hostB.v4} proto 179`)
        const nobody = { ...peer(hostR), address: '172.31.5.99' }
        a.peers = [...a.peers, nobody]
        a.overrides = { fib: { ...FIB, sweepAfter: '1h' } }
        await a.start()
        await a.learned(BLOCK_B)
        await until(
          'confirmed',
          () => a.fib(),
          (entries) => stateOf(entries, BLOCK_B) === 'installed',
        )
        await until(
          'End-of-RIB of the reflector',
          () => a.neighbor(hostR.v4),
          ({ perFamily }) => perFamily.every(({ endOfRibReceived }) => endOfRibReceived),
        )
        t.equal(stateOf(await a.fib(), '10.244.77.0/26'), 'adopted', 'not before its time')
        a.overrides = { fib: { ...FIB, sweepAfter: '1s' } }
        a.reload()
        await until(
          'swept',
          () => ours(hostA),
          (text) => !text.includes('10.244.77.'),
        )
        a.peers = a.peers.slice(0, 1)
        a.overrides = { fib: FIB }
        a.reload()
      })

      await t.test('fib flush and fib restore, with the daemon', async (t) => {
        t.match(
          await a.command('fib', 'flush', '--yes'),
          /^4 routes are removed; none is written until 'nodebgp fib restore'/,
        )
        t.equal(ours(hostA), '')
        await b.announce({ prefix: LATER })
        await a.learned(LATER)
        await until(
          'seen by the FIB',
          () => a.fib(),
          (entries) => stateOf(entries, LATER) === 'pending',
        )
        t.match(await a.get('/v1/fib'), [{ state: 'pending', reason: /flushed by command/ }])
        t.equal(ours(hostA), '')
        t.match(hostA.ns.ip(`route show ${POD_A}`), /cali0/, 'what is not ours stays')
        await t.rejects(a.get('/readyz'), /flushed by command/)
        // Somebody else takes the place meanwhile: reported, respected, and ours again when he goes.
        hostA.ns.ip(`route add blackhole ${LATER} proto static`)
        t.match(await a.command('fib', 'restore'), /written again/)
        await until(
          'the conflict',
          () => a.command('explain', LATER),
          (text) => /conflict.*static \(4\).*blackhole/.test(text),
        )
        t.match(await a.command('show', 'fib'), /10\.244\.23\.0\/26 +conflict .*static \(4\)/)
        hostA.ns.ip(`route del blackhole ${LATER} proto static`)
        await settled(a, BLOCK_A, '10.244.11.64/26', BLOCK_B, COMES, LATER)
        await t.rejects(a.command('fib', 'restore'), /not flushed/)
      })

      await t.test('fib flush without a daemon', async (t) => {
        const flush = (...more: string[]) =>
          run('ip', 'netns', 'exec', hostA.netns, process.execPath, MAIN, 'fib', 'flush', '-c', a.file, ...more)
        await a.kill()
        await t.rejects(flush(), /remove 5 routes from the kernel \(table main, protocol 179\)\? Add --yes/)
        t.match(ours(hostA), BLOCK_B)
        t.equal(await flush('--yes'), '5 routes removed (table main, protocol 179); no daemon runs\n')
        t.equal(ours(hostA), '')
        t.equal(await flush('--yes'), '0 routes removed (table main, protocol 179); no daemon runs\n')
        writeFileSync(a.file, 'asn: 64512\nfib: { driver: off }\n')
        await t.rejects(flush('--yes'), /fib\.driver is off/)
      })

      await t.test(
        'another table, then another protocol number: what the last run left there goes after the sweep',
        async (t) => {
          a.overrides = { fib: FIB }
          await a.start()
          await settled(a, BLOCK_A, '10.244.11.64/26', BLOCK_B, COMES, LATER)
          // Both tables are asked, main first: it has the Pod.
          hostA.ns.ip('rule add pref 32800 table 100')
          const ping = new Pings(hostA, podA, POD_B, 100)
          t.teardown(() => ping.kill())
          await ping.goOn()
          await a.stop()
          // BIRD's in the old table are not ours to remove.
          hostA.ns.ip('route add 10.244.78.0/26 dev eth0 proto bird')
          a.overrides = { fib: { ...FIB, table: 100, takeOver: 'bird' } }
          await a.start()
          await until(
            'moved',
            () => `${ours(hostA)}|${hostA.ns.ip('route show table 100 proto 179')}`,
            (text) => text.startsWith('|') && text.trim().split('\n').length === 5,
          )
          t.match(hostA.ns.ip('route show proto bird'), /^10\.244\.78\.0\/26 /)
          await ping.goOn()
          await a.kill()
          // In the same table each route changes its number in one step; what nobody confirms goes with the sweep.
          hostA.ns.ip('route add 10.244.77.0/26 dev eth0 proto 179 table 100')
          const monitor = new Process(hostA.netns, join(hostA.dir, 'monitor.log'), 'stdbuf', MONITOR)
          t.teardown(() => monitor.kill())
          const seen = () => monitor.logTail(Number.POSITIVE_INFINITY).split('\n')
          let metric = 1
          await until(
            'the monitor sees',
            () => {
              hostA.ns.ip(`route add 198.51.100.1/32 dev eth0 metric ${metric++}`)
              return seen()
            },
            (lines) => lines.some((line) => line.startsWith('198.51.100.1')),
          )
          a.overrides = { fib: { ...FIB, table: 100, protocol: 181 } }
          await a.start()
          await until(
            'under the new number alone',
            () => hostA.ns.ip('route show table 100'),
            (text) => text.trim().split('\n').length === 5 && !/proto (?!181)/.test(text),
          )
          await until('the sweep is told', seen, (lines) => lines.some((line) => /^Deleted 10\.244\.77\./.test(line)))
          t.same(await ping.stop(), [], 'no ping lost')
          const ofBlock = seen().filter((line) => line.includes(BLOCK_B))
          t.match(ofBlock, [/^10\.244\.12\.0\/26 .*proto 181/], 'one replace')
          t.equal(ofBlock.length, 1, 'and no delete')
          hostA.ns.ip('rule del pref 32800 table 100')
          await a.stop()
          hostA.ns.ip('route flush table 100')
        },
      )

      await t.test('fib.onExit: flush', async (t) => {
        a.overrides = { fib: { ...FIB, onExit: 'flush' } }
        await a.start()
        await settled(a, BLOCK_A, '10.244.11.64/26', BLOCK_B, COMES, LATER)
        await a.stop()
        t.equal(ours(hostA), '')
        await rr.lost(BLOCK_A)
      })
    },
  )
}

const MONITOR = ['-oL', 'ip', 'monitor', 'route']

/** The kernel's routes with our number, as `ip` prints them. */
function ours(host: Host): string {
  return host.ns.ip('route show proto 179')
}

function stateOf(entries: readonly FibEntry[], prefix: string): string | undefined {
  return entries.find((entry) => entry.prefix === prefix)?.state
}

/** Exactly these are there, confirmed, and in the kernel. */
async function settled(node: Nodebgp, ...prefixes: string[]): Promise<void> {
  const wanted = [...prefixes].sort().map((prefix) => `${prefix} installed`)
  await until(
    `${node.name} has ${wanted.join(', ')}`,
    async () => (await node.fib()).map(({ prefix, state }) => `${prefix} ${state}`).sort(),
    (seen) => seen.join() === wanted.join(),
  )
  const inKernel = ours(node.host).split('\n').filter(Boolean).length
  if (inKernel !== prefixes.length) throw new Error(`the kernel has ${inKernel} routes: ${ours(node.host)}`)
}
