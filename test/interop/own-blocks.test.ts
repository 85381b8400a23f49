/**
 * The node's own blocks, as Felix or another CNI plugin writes them: a BIRD neighbour sees them come and go with the kernel's routes, whole,
 * aggregated to their blocks, or (borrowed addresses) alone; `show blocks` says where each comes from.
 */
import t from 'tap'
import type { BlockView } from '../../src/api/types.js'
import { foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { Segment } from '../support/daemons/segment.js'
import type { Speaker } from '../support/daemons/speaker.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'

const requirement = {
  commands: ['ip', ...REQUIREMENTS.bird.commands],
  packages: ['iproute2', REQUIREMENTS.bird.package],
  root: true,
}
const ASN = 64512
const BLOCK = '10.244.1.0/26'

if (requireOrSkip(t, requirement)) {
  t.test('blocks come and go at a BIRD neighbour as they do in the kernel', async (t) => {
    const segment = new Segment(t)
    const [node, tor] = [segment.host('node', 1), segment.host('bird', 2)]
    const families = ['ipv4-unicast', 'ipv6-unicast'] as const
    const rule = { protocols: [80, 'boot'], within: ['10.244.0.0/16', 'fd00:244::/64'], interfaces: ['cali*'] }
    const ours = new Nodebgp(
      { host: node, asn: ASN, kernel: true, peers: [{ address: tor.v4, asn: ASN, families }] },
      { originate: [{ fromKernel: rule, aggregate: { blackhole: true } }] },
    )
    const bird = foreign('bird', { host: tor, asn: ASN, peers: [{ address: node.v4, asn: ASN, families }] })
    for (const device of ['cali1', 'cali2', 'veth3']) {
      node.ns.ip(`link add ${device} type veth peer name p${device}`)
      node.ns.ip(`link set ${device} up`)
    }
    node.ns.ip('route add 10.244.1.5/32 dev cali1 proto boot')
    await Promise.all([segment.add(ours).start(), segment.add(bird).start()])
    const blocks = async (): Promise<BlockView[]> => (await ours.get('/v1/blocks')) as BlockView[]

    // Aggregated, with a blackhole of ours.
    t.equal((await bird.learned(BLOCK)).nextHop, node.v4)
    await until(
      'the blackhole',
      () => node.ns.ip(`route show type blackhole ${BLOCK}`),
      (text) => /proto 179/.test(text),
    )
    t.match(await blocks(), [
      {
        prefix: BLOCK,
        source: 'kernel',
        rule: 'originate[0]',
        aggregated: true,
        routes: [{ prefix: '10.244.1.5/32', protocolName: 'boot (3)', devices: ['cali1'] }],
      },
    ])
    t.match(
      await ours.command('show', 'blocks'),
      /10\.244\.1\.0\/26 +originate\[0\] fromKernel +boot \(3\) +cali1 +1 inside/,
    )

    // More Pods, also of IPv6; what is none of the rule's stays out.
    const updates = await bird.updatesReceived(node.v4)
    node.ns.ip('route add 10.244.1.6/32 dev cali2 proto 80')
    node.ns.ip('route add 10.244.1.7/32 dev veth3 proto boot')
    node.ns.ip('route add 10.99.1.7/32 dev cali2 proto boot')
    node.ns.ip('route add 10.244.9.7/32 dev cali2 proto static')
    node.ns.ip('-6 route add fd00:244::41/128 dev cali1 proto boot')
    await bird.learned('fd00:244::40/122')
    t.same(await prefixes(bird), [BLOCK, 'fd00:244::40/122'])

    // One of two Pods goes: the block stays. The last one: it goes, with its blackhole.
    node.ns.ip('route del 10.244.1.5/32 dev cali1')
    node.ns.ip('-6 route del fd00:244::41/128 dev cali1')
    await bird.lost('fd00:244::40/122')
    t.same(await prefixes(bird), [BLOCK])
    // A Pod that is taken out and put back is nothing that the network has to hear of.
    node.ns.ip('route del 10.244.1.6/32 dev cali2')
    node.ns.ip('route add 10.244.1.6/32 dev cali2 proto 80')
    node.ns.ip('route add 10.244.2.70/32 dev cali1 proto boot')
    await bird.learned('10.244.2.64/26')
    t.equal(await bird.updatesReceived(node.v4), updates + 2, 'the IPv6 block and the new one, nothing of the first')
    node.ns.ip('route del 10.244.1.6/32 dev cali2')
    const goneMs = performance.now()
    await bird.lost(BLOCK)
    t.ok(performance.now() - goneMs < 10_000, 'withdrawn soon')
    await until(
      'its blackhole goes',
      () => node.ns.ip(`route show ${BLOCK}`),
      (text) => text === '',
    )

    // As Felix marks blocks: a blackhole alone announces one; a Pod outside of them has a borrowed address.
    ours.overrides = { originate: [{ fromKernel: rule, aggregate: { requireBlackhole: true } }] }
    ours.reload()
    await bird.learned('10.244.2.70/32')
    await bird.lost('10.244.2.64/26')
    node.ns.ip(`route add blackhole ${BLOCK} proto 80`)
    await bird.learned(BLOCK)
    node.ns.ip('route add 10.244.1.5/32 dev cali1 proto boot')
    await until('the Pod is behind its block', blocks, (all) =>
      all.some((one) => one.prefix === BLOCK && one.routeCount === 2),
    )
    t.same(await prefixes(bird), [BLOCK, '10.244.2.70/32'])
    node.ns.ip(`route del blackhole ${BLOCK} proto 80`)
    await bird.learned('10.244.1.5/32')
    await bird.lost(BLOCK)

    // A device that goes takes its Pods silently.
    node.ns.ip('link set cali1 down')
    await bird.lost('10.244.1.5/32')
    await bird.lost('10.244.2.70/32')
    // By command.
    await ours.command('announce', '10.5.0.0/24')
    t.match(await blocks(), [{ prefix: '10.5.0.0/24', source: 'announce', rule: null, routeCount: 0, blackhole: null }])
  })
}

async function prefixes(bird: Speaker): Promise<string[]> {
  const all = [...(await bird.routes('ipv4-unicast')), ...(await bird.routes('ipv6-unicast'))]
  return all.map(({ prefix }) => prefix).sort()
}
