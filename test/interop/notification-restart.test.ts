/**
 * RFC 8538 with FRR and GoBGP: an expired hold timer and their Cease keep the routes on both sides, and nothing is lost further down; what our operator does is a
 * Hard Reset, and takes them out.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { Bird } from '../support/daemons/bird.js'
import { Frr } from '../support/daemons/frr.js'
import { GoBgp } from '../support/daemons/gobgp.js'
import { REQUIREMENTS } from '../support/daemons/index.js'
import { Segment } from '../support/daemons/segment.js'
import type { Speaker } from '../support/daemons/speaker.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'

const ASN = 64512
const FAMILIES = ['ipv4-unicast'] as const
const OURS = ['10.244.1.0/26', '10.244.1.64/26']
const THEIRS = ['10.244.2.0/26', '10.244.2.64/26']
const CEASE = 'received NOTIFICATION 6/4 (Cease/Administrative Reset)'
const MARK = '10.244.9.0/26'
/** The hold timer is what a frozen process is noticed by. */
const GRACEFUL = { families: FAMILIES, holdSeconds: 3, graceful: { restartSeconds: 60, longLivedSeconds: 0 } }

// Most of it is waiting for hold timers.
t.jobs = 2
for (const [kind, Kind] of [
  ['frr', Frr],
  ['gobgp', GoBgp],
] as const) {
  t.test(kind, { buffered: true }, async (t) => {
    const needed = [REQUIREMENTS[kind], REQUIREMENTS.bird]
    const commands = needed.flatMap((one) => one.commands)
    const packages = [...needed.map((one) => one.package), 'iproute2']
    if (!requireOrSkip(t, { commands: [...commands, 'ip'], packages, root: true })) return
    const segment = new Segment(t)
    const [here, there, below] = [segment.host('us', 1), segment.host('them', 2), segment.host('below', 3)]
    const us = segment.add(
      new Nodebgp({
        host: here,
        asn: ASN,
        routes: OURS.map((prefix) => ({ prefix })),
        peers: [
          { address: there.v4, asn: ASN, client: true, ...GRACEFUL },
          { address: below.v4, asn: ASN, client: true, families: FAMILIES },
        ],
      }),
    )
    const them = segment.add(
      new Kind({
        host: there,
        asn: ASN,
        routes: THEIRS.map((prefix) => ({ prefix })),
        peers: [{ address: here.v4, asn: ASN, ...GRACEFUL }],
      }),
    )
    const further = segment.add(
      new Bird({ host: below, asn: ASN, peers: [{ address: here.v4, asn: ASN, families: FAMILIES }] }),
    )
    await Promise.all([us.start(), them.start(), further.start()])
    const fresh = async (): Promise<void> => {
      await until(
        'all of their routes are there and none is stale',
        () => us.rib('ipv4-unicast'),
        (rows) => THEIRS.every((prefix) => rows.some((row) => row.prefix === prefix && row.stale !== true && row.best)),
      )
      await until(
        'ours are there',
        () => them.meds('ipv4-unicast'),
        (meds) => OURS.every((prefix) => meds.has(prefix)),
      )
      await bothEndOfRib(us, there.v4)
    }
    const stale = (): Promise<unknown> =>
      until(
        'their routes are stale and still the best',
        () => us.rib('ipv4-unicast'),
        (rows) => THEIRS.every((prefix) => rows.some((row) => row.prefix === prefix && row.stale === true && row.best)),
      )
    await fresh()
    for (const prefix of THEIRS) await further.learned(prefix)
    t.match((await us.neighbor(there.v4)).gracefulRestart, { notification: true, restartTimeSeconds: 60 }, 'N bit')

    us.freeze()
    await them.notEstablished(here.v4)
    for (const prefix of OURS) t.ok(await has(them, prefix), `${prefix} stays there when their hold timer is over`)
    us.thaw()
    await fresh()
    t.ok(keptAfter(us, 'received NOTIFICATION 4/0 (Hold Timer Expired)'), 'their NOTIFICATION is graceful')

    // GoBGP never sets the F bit, so what was stale goes when it is back (RFC 4724 §4.2).
    if (them instanceof Frr) {
      them.freeze()
      await stale()
      them.thaw()
      await fresh()
      t.ok(keptAfter(us, 'hold timer expired'), 'so is our hold timer')
      await them.set('no bgp hard-administrative-reset')
      await them.reset(here.v4)
      await reasonIs(us, there.v4, CEASE)
      await fresh()
      t.ok(keptAfter(us, CEASE), 'so is a plain Cease')
      await us.announce({ prefix: MARK })
      await further.learned(MARK)
      t.equal(await further.withdrawsReceived(here.v4), 0, 'nothing was withdrawn further down')
    }

    await us.command('neighbor', there.v4, 'down', 'for good')
    for (const prefix of OURS) await them.lost(prefix)
    for (const prefix of THEIRS) await us.lost(prefix)
    for (const prefix of THEIRS) await further.lost(prefix)
    await reasonIs(us, there.v4, 'sent NOTIFICATION 6/9 (Cease/Hard Reset): 6/2 (Cease/Administrative Shutdown)')
    await us.command('neighbor', there.v4, 'up')
    await fresh()

    if (them instanceof Frr) {
      await them.set('bgp hard-administrative-reset')
      await them.reset(here.v4)
      await reasonIs(us, there.v4, 'received NOTIFICATION 6/9 (Cease/Hard Reset): 6/4 (Cease/Administrative Reset)')
      t.notOk(keptAfter(us, 'received NOTIFICATION 6/9'), 'their Hard Reset is not graceful')
    } else {
      // It stays away for half a minute after that.
      await them.reset(here.v4)
      await stale()
      t.ok(keptAfter(us, CEASE), 'a plain Cease is graceful')
    }
  })
}

async function bothEndOfRib(us: Nodebgp, address: string): Promise<void> {
  await until(
    'both have sent End-of-RIB',
    () => us.neighbor(address),
    ({ perFamily }) => perFamily.length > 0 && perFamily.every((row) => row.endOfRibReceived && row.endOfRibSent),
  )
}
async function reasonIs(us: Nodebgp, address: string, reason: string): Promise<void> {
  await until(
    reason,
    () => us.neighbor(address),
    ({ history }) => history.some((change) => change.from === 'Established' && change.reason.startsWith(reason)),
  )
}
/** The log says that the routes of a peer stay after this end. */
function keptAfter(us: Nodebgp, reason: string): boolean {
  return readFileSync(us.logFile, 'utf8').includes(`is away (${reason}`)
}
async function has(speaker: Speaker, prefix: string): Promise<boolean> {
  return (await speaker.routes('ipv4-unicast')).some((route) => route.prefix === prefix)
}
