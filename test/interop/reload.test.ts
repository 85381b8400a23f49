/**
 * Operating a live daemon: neighbours added and removed by SIGHUP while another session stays up, a bad file that changes nothing,
 * and health, readiness and metrics over HTTP.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import type { FamilyName } from '../../src/net/family.js'
import { foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { Segment } from '../support/daemons/segment.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { isControl } from '../support/subject.js'
import { until } from '../support/wait.js'

const FAMILIES: readonly FamilyName[] = ['ipv4-unicast']
const ASN = 64512
const needed = [REQUIREMENTS.bird, REQUIREMENTS.gobgp, REQUIREMENTS.frr]
const requirement = {
  commands: ['ip', ...needed.flatMap((one) => one.commands)],
  packages: ['iproute2', ...needed.map((one) => one.package)],
  root: true,
}

if (!isControl && requireOrSkip(t, requirement)) {
  t.test('SIGHUP on a live daemon', async (t) => {
    const segment = new Segment(t)
    const here = segment.host('us', 1)
    const speakers = (['bird', 'gobgp', 'frr'] as const).map((kind, index) =>
      segment.add(
        foreign(kind, {
          host: segment.host(kind, index + 11),
          asn: ASN,
          routes: [{ prefix: `10.244.${index + 11}.0/26` }],
          peers: [{ address: here.v4, asn: ASN, families: FAMILIES }],
        }),
      ),
    )
    const [bird, gobgp, frr] = speakers
    const peerOf = (speaker: typeof bird) => ({ address: speaker!.host.v4, asn: ASN, families: FAMILIES })
    const us = segment.add(
      new Nodebgp(
        { host: here, asn: ASN, routes: [{ prefix: '10.244.1.0/26' }], peers: [peerOf(bird), peerOf(gobgp)] },
        { api: { socket: `${here.dir}/n.sock`, http: '127.0.0.1:9179' } },
      ),
    )

    await us.start()
    t.equal((await us.http('/healthz')).status, 200, 'healthy as soon as it runs')
    t.equal((await us.http('/readyz')).status, 503, 'not ready while no configured neighbour is up')

    await Promise.all(speakers.map((speaker) => speaker.start()))
    await us.established(bird!.host.v4)
    await us.established(gobgp!.host.v4)
    await us.learned('10.244.11.0/26')
    await us.learned('10.244.12.0/26')
    t.equal((await us.http('/readyz')).status, 200, 'ready with a session')
    const metrics = await us.http('/metrics')
    t.equal(metrics.status, 200, 'metrics are served')
    t.match(metrics.body, /^# TYPE bgp_peer_up gauge$/m, 'metrics: types are declared')
    t.ok(
      metrics.body.split('\n').some((line) => /^bgp_peer_up\{.*\} 1$/.test(line) && line.includes('name="p0"')),
      'metrics: a neighbour that is up, by its name',
    )
    t.match(metrics.body, /^bgp_rib_prefixes\{route_family="ipv4-unicast"\} 3$/m, 'metrics: prefixes')
    t.match(metrics.body, /^\w*loop\w*(\{[^}]*\})? [\d.e-]+$/m, 'metrics: event loop delay')

    const before = await us.neighbor(bird!.host.v4)
    us.peers = [{ ...peerOf(bird) }, peerOf(frr)]
    us.own.set('10.244.1.64/26', { prefix: '10.244.1.64/26' })
    us.reload()
    await us.established(frr!.host.v4)
    await us.learned('10.244.13.0/26')
    await us.lost('10.244.12.0/26')
    await gobgp!.notEstablished(here.v4)
    await bird!.learned('10.244.1.64/26')
    t.notOk((await us.sessions()).has(gobgp!.host.v4), 'the removed neighbour is gone')
    await unchanged()

    // Each bad file is refused as a whole: the good parts of it are not applied either.
    const good = us.peers
    us.peers = []
    us.writeConfiguration()
    const withoutPeers = readFileSync(us.file, 'utf8')
    us.peers = good
    for (const [what, text] of [
      ['not YAML', 'asn: [64512\nneighbors: {'],
      ['one unknown key', `${withoutPeers}\nneighbours: []\n`],
      ['wrong type', `asn: many\nrouterId: ${here.v4}\nneighbors: []\nfib: { driver: off }\n`],
      ['another AS', `asn: 64999\nrouterId: ${here.v4}\nneighbors: []\nfib: { driver: off }\n`],
      ['empty', ''],
    ] as const) {
      writeFileSync(us.file, text)
      for (const [way, reload] of [
        ['SIGHUP', async () => us.hangup()],
        ['nodebgp reload', () => t.rejects(us.command('reload'), `${what}: nodebgp reload says no`)],
      ] as const) {
        const rejected = us.logged('config-rejected')
        await reload()
        await until(
          `${what}: ${way} is refused in the log`,
          () => us.logged('config-rejected'),
          (count) => count === rejected + 1,
        )
        const neighbors = [...(await us.sessions()).keys()].sort()
        t.same(neighbors, [bird!.host.v4, frr!.host.v4].sort(), `${what}, ${way}: same neighbours`)
        t.equal((await us.neighbor(frr!.host.v4)).establishedCount, 1, `${what}, ${way}: session with FRR stays`)
        await unchanged()
      }
    }
    t.ok((await bird!.learned('10.244.1.64/26')) && (await frr!.learned('10.244.1.0/26')), 'our routes are still there')

    us.peers = [...good, peerOf(gobgp)]
    us.reload()
    await us.established(gobgp!.host.v4)
    await us.learned('10.244.12.0/26')
    await unchanged()
    t.pass('a good file is taken after the bad ones')

    await us.command('neighbor', frr!.host.v4, 'down')
    await us.notEstablished(frr!.host.v4)
    await us.lost('10.244.13.0/26')
    await frr!.lost('10.244.1.0/26')
    await us.command('neighbor', frr!.host.v4, 'up')
    await us.learned('10.244.13.0/26')
    await us.command('announce', '10.244.1.128/26')
    await bird!.learned('10.244.1.128/26')
    await us.command('withdraw', '10.244.1.128/26')
    await bird!.lost('10.244.1.128/26')
    await unchanged()

    // SIGTERM: NOTIFICATION and a clean exit; the neighbours lose our routes at once.
    await us.stop()
    await bird!.lost('10.244.1.0/26')
    await until('the socket is gone', () =>
      us.get('/v1/summary').then(
        () => false,
        () => true,
      ),
    )

    async function unchanged(): Promise<void> {
      const now = await us.neighbor(bird!.host.v4)
      t.equal(now.state, 'Established', 'the untouched session is up')
      t.equal(now.establishedCount, before.establishedCount, 'and has not been down')
      t.equal(now.history[0]?.time, before.history[0]?.time, 'its last change of state is the same')
    }
  })
}
