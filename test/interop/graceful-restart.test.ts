/**
 * Graceful restart with BIRD and FRR, both ways: kill -9 and SIGTERM of our daemon lose no route on them, kill -9 of theirs loses none here; End-of-RIB after the return takes
 * out what is not announced any more.
 */
import t from 'tap'
import { type ForeignKind, foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { Segment } from '../support/daemons/segment.js'
import type { Speaker } from '../support/daemons/speaker.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'

const FAMILIES = ['ipv4-unicast'] as const
const OURS = ['10.244.1.0/26', '10.244.1.64/26']
const THEIRS = ['10.244.2.0/26', '10.244.2.64/26']

for (const kind of ['bird', 'frr'] as const satisfies readonly ForeignKind[]) {
  const { commands, package: debianPackage } = REQUIREMENTS[kind]
  t.test(`${kind}: kill -9 on either side`, async (t) => {
    if (!requireOrSkip(t, { commands: [...commands, 'ip'], packages: [debianPackage, 'iproute2'], root: true })) return
    const segment = new Segment(t)
    const [here, there] = [segment.host('us', 1), segment.host('them', 2)]
    const us = segment.add(
      new Nodebgp({
        host: here,
        asn: 64512,
        routes: OURS.map((prefix) => ({ prefix })),
        peers: [{ address: there.v4, asn: 64512, families: FAMILIES, graceful: true }],
      }),
    )
    const them: Speaker = segment.add(
      foreign(kind, {
        host: there,
        asn: 64512,
        routes: THEIRS.map((prefix) => ({ prefix })),
        peers: [{ address: here.v4, asn: 64512, families: FAMILIES, graceful: true }],
      }),
    )
    await Promise.all([us.start(), them.start()])
    for (const prefix of OURS) await them.learned(prefix)
    for (const prefix of THEIRS) await us.learned(prefix)
    await until(
      'both have sent End-of-RIB',
      () => us.neighbor(there.v4),
      ({ perFamily }) => perFamily.every(({ endOfRibReceived, endOfRibSent }) => endOfRibReceived && endOfRibSent),
    )

    await us.kill()
    await them.notEstablished(here.v4)
    for (const prefix of OURS) t.ok(await has(them, prefix), `${kind} keeps ${prefix}`)
    us.own.delete(OURS[1]!)
    await us.start()
    await us.established(there.v4)
    await them.established(here.v4)
    await them.lost(OURS[1]!)
    t.ok(await has(them, OURS[0]!), 'only what we announce no more is swept')
    await us.learned(THEIRS[0]!)

    await until(
      'both have sent End-of-RIB again',
      () => us.neighbor(there.v4),
      ({ perFamily }) => perFamily.every(({ endOfRibReceived, endOfRibSent }) => endOfRibReceived && endOfRibSent),
    )
    await us.stop()
    await them.notEstablished(here.v4)
    t.ok(await has(them, OURS[0]!), 'SIGTERM is graceful, too')
    await us.start()
    await us.established(there.v4)
    await them.established(here.v4)
    await us.learned(THEIRS[0]!)

    await them.kill()
    await until(
      'its routes are stale',
      () => us.rib('ipv4-unicast'),
      (rows) => THEIRS.every((prefix) => rows.some((row) => row.prefix === prefix && row.stale === true && row.best)),
    )
    them.own.delete(THEIRS[1]!)
    await them.start()
    await us.established(there.v4)
    await us.lost(THEIRS[1]!)
    const rows = await us.rib('ipv4-unicast')
    t.match(
      rows.filter(({ prefix }) => prefix === THEIRS[0]),
      [{ best: true }],
    )
  })
}

async function has(speaker: Speaker, prefix: string): Promise<boolean> {
  return (await speaker.routes('ipv4-unicast')).some((route) => route.prefix === prefix)
}
