/**
 * A node moves from BIRD to us (docs/kernel.md, Moving from BIRD): whole daemons with a BGP neighbour that gives both the same routes, and Pods that ping each other a
 * hundred times a second meanwhile. What is lost depends on how BIRD ends.
 */
import t from 'tap'
import { Bird } from '../support/daemons/bird.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import { Nodebgp } from '../support/nodebgp.js'
import { Pings } from '../support/pings.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'

const ASN = 64512
const [BLOCK_A, BLOCK_B] = ['10.244.11.0/26', '10.244.12.0/26']
const [POD_A, POD_B] = ['10.244.11.10', '10.244.12.10']
/** Announced while BIRD runs, and withdrawn before we start. */
const GONE = '10.244.21.0/26'
const FIB = { driver: 'auto', accept: ['10.244.0.0/16'] }

/** How BIRD is ended; `quiet`: its neighbours do not hear of it. */
const ENDS = [
  { name: 'kill -9', quiet: true, persist: false, end: (bird: Bird) => bird.kill() },
  { name: 'birdc graceful restart', quiet: true, persist: false, end: (bird: Bird) => bird.gracefulEnd() },
  { name: 'SIGTERM', quiet: false, persist: true, end: (bird: Bird) => bird.stop() },
]

const needs = { commands: ['ip', 'ping', 'bird', 'birdc'], packages: ['iproute2', 'iputils-ping', 'bird2'], root: true }
if (requireOrSkip(t, needs))
  for (const neighbor of ['nodebgp', 'bird'] as const)
    for (const { name, quiet, persist, end } of ENDS)
      t.test(`from BIRD, ended by ${name}, to us; the neighbour is ${neighbor}`, async (t) => {
        const segment = new Segment(t)
        const [hostA, hostB] = [segment.host('node-a', 11), segment.host('node-b', 12)]
        const spec = (host: Host, other: Host, ...prefixes: string[]) => ({
          host,
          asn: ASN,
          kernel: true,
          persist,
          routes: prefixes.map((prefix) => ({ prefix })),
          peers: [
            {
              address: other.v4,
              asn: ASN,
              families: ['ipv4-unicast'] as const,
              graceful: { restartSeconds: 60, longLivedSeconds: 0 },
            },
          ],
        })
        const specB = spec(hostB, hostA, BLOCK_B, GONE)
        const b = segment.add(neighbor === 'bird' ? new Bird(specB) : new Nodebgp(specB, { fib: FIB }))
        const bird = segment.add(new Bird(spec(hostA, hostB, BLOCK_A)))
        const [podA, podB] = [segment.pod(hostA, POD_A), segment.pod(hostB, POD_B)]
        const of = (proto: string) => hostA.ns.ip(`route show proto ${proto}`)
        await Promise.all([b.start(), bird.start()])
        await until(
          'BIRD has written its routes',
          () => of('bird'),
          (text) => [BLOCK_B, GONE].every((one) => text.includes(one)),
        )
        await until(
          'node b has its route',
          () => hostB.ns.ip(`route show ${BLOCK_A}`),
          (text) => text.includes(`via ${hostA.v4}`),
        )

        const pings = [new Pings(hostA, podA, POD_B, 100), new Pings(hostB, podB, POD_A, 100)]
        t.teardown(() => Promise.all(pings.map((one) => one.kill())))
        for (const one of pings) await one.goOn()

        await end(bird)
        t.match(of('bird'), BLOCK_B, 'BIRD is gone, its routes are not')
        if (quiet) for (const one of pings) await one.goOn()
        else await b.notEstablished(hostA.v4)
        await b.withdraw(GONE)
        const a = segment.add(new Nodebgp(spec(hostA, hostB, BLOCK_A), { fib: { ...FIB, takeOver: 'bird' } }))
        await a.start()
        await until(
          'nothing of BIRD is left',
          () => of('bird'),
          (text) => text === '',
        )
        t.match(of('179'), /10\.244\.12\.0\/26 via 172\.31\.5\.12/)
        t.notMatch(of('179'), GONE)
        for (const one of pings) {
          const lost = await one.stop()
          if (quiet) t.same(lost, [], `no ping lost: ${one.name}`)
          // From BIRD's goodbye until it hears from us the neighbour has no route to us.
          else t.ok(lost.length > 0, `${one.name}: ${lost.length} pings lost`)
        }
      })
