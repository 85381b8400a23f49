/**
 * Messages that broke other speakers, one after the other, from a neighbour of its own each; two well-behaved neighbours are watched. Each attack ends as the
 * RFCs say (the NOTIFICATION that is sent, or a session that stays), nothing stale stays in the tables, and nobody else notices.
 */
import t from 'tap'
import { Receiver } from '../support/update-bytes.js'
import {
  AS_PATH,
  Client,
  GOOD,
  hex8,
  hex16,
  KEEPALIVE,
  LOCAL_PREF,
  MARKER,
  message,
  NEXT_HOP,
  nlri,
  ORIGIN,
  open,
  update,
} from './client.js'
import { runningDaemon } from './daemon.js'

const ROUTE = '10.66.1.0/24'
/** The session stays, and others are told of these prefixes of the attacker. */
const up = (...prefixes: string[]): { prefixes: string[] } => ({ prefixes })
/** The route that was announced before is withdrawn (RFC 7606: treat as withdraw). */
const WITHDRAWN = up()
const PREFIX = nlri(ROUTE)
const SAME = up(ROUTE)
type Expected = string | { readonly prefixes: readonly string[] }

/** What is sent instead of an OPEN, and the NOTIFICATION that answers (code, subcode, data); '': none, the connection ends. */
const OPENS: readonly [string, string, string][] = [
  ['opt_len 255, type 255, inconsistent words (CVE-2022-40302)', message(1, '04fc000005c0a83901ffff00020001'), '0200'],
  ['RFC 9072 form with a truncated last parameter (CVE-2022-40318)', rfc9072('0200'), '0200'],
  ['29 octets that claim parameters (CVE-2022-43681)', message(1, '04fc0000de7f420001ff'), '0200'],
  ['AS4 capability longer than the rest (CVE-2022-36440)', withCapabilities('4104fc'), '0200'],
  ['GR capability of 1 octet', withCapabilities('400100'), ''],
  ['capability overruns its parameter', withCapabilities('0104000100'), '0200'],
  ['role of 0 octets', withCapabilities('0900'), ''],
  ['parameter type 1 (authentication)', openBody('010100'), '0204'],
  ['version 3', message(1, `03fc00005a7f42000100`), '02010004'],
  ['version 5', message(1, `05fc00005a7f42000100`), '02010004'],
  ['AS 0', message(1, '04000000' + '5a7f42000100'), '0202'],
  ['AS4 capability with AS 0', withCapabilities('410400000000'), '0202'],
  ['identifier 0', message(1, `04fc00005a0000000000`), '0203'],
  ['our identifier', message(1, `04fc00005a0a00000100`), '02030a000001'],
  ['hold time 1', message(1, `04fc0000017f42000100`), '0206'],
  ['hold time 2', message(1, `04fc0000027f42000100`), '0206'],
  ['an OPEN of 28 octets', message(1, '04fc00005a7f420001'), '0102001c'],
  ['marker not all ones', `00${open().slice(2)}`, '0101'],
  ['length 0', `${MARKER}000001`, '01020000'],
  ['length 18', `${MARKER}001201`, '01020012'],
  ['length 4097', `${MARKER}100101`, '01021001'],
  ['length 65535', `${MARKER}ffff01`, '0102ffff'],
  ['type 0', message(0, ''), '010300'],
  ['type 6 (CAPABILITY)', message(6, '01'), '010306'],
  ['type 255', message(255, ''), '0103ff'],
  ['KEEPALIVE of 20 octets', message(4, '00'), '01020014'],
  ['KEEPALIVE first', KEEPALIVE, '0501'],
  ['UPDATE first', update('', GOOD, PREFIX), '0501'],
  ['ROUTE-REFRESH first', message(5, '00010001'), '0501'],
  ['NOTIFICATION first', message(3, '0602'), ''],
]

/** What is sent on an Established session, and what follows. */
const ESTABLISHED: readonly [string, string, Expected][] = [
  ['NOTIFICATION with a shutdown text of 255 in 2 octets (CVE-2019-16159)', message(3, '0602ff41'), ''],
  ['NOTIFICATION 255/255', message(3, 'ffff'), ''],
  ['NOTIFICATION of 20 octets', message(3, '06'), ''],
  ['NOTIFICATION with 4000 octets of data', message(3, `0602${'ff'.repeat(4000)}`), ''],
  ['CAPABILITY message', message(6, '0000'), '010306'],
  ['ROUTE-REFRESH of 22 octets', message(5, '000100'), '01020016'],
  ['ROUTE-REFRESH of 24 octets', message(5, '0001000100'), '01020018'],
  ['ROUTE-REFRESH with an ORF that lies outside', message(5, '0001000101ffffff'), '0102001b'],
  ['ROUTE-REFRESH of a family that was not negotiated', message(5, '00190046'), SAME],
  ['OPEN again', open(), '0503'],
  ['only an unknown attribute (CVE-2023-46753)', update('', `c01f10${'00'.repeat(16)}`, PREFIX), WITHDRAWN],
  ['no attributes but NLRI (CVE-2023-41358)', update('', '', PREFIX), WITHDRAWN],
  ['malformed attributes in what looks like End-of-RIB (CVE-2023-47235)', update('', '40010199', ''), '0301'],
  ['MP_UNREACH_NLRI and NLRI without mandatory ones', update('', '800f03000201', PREFIX), WITHDRAWN],
  ['MP_REACH_NLRI with a next hop longer than the rest (CVE-2023-46752)', update('', '800e0600020110aabb', ''), '0309'],
  ['withdrawn length 65535 (CVE-2026-37462)', message(2, 'ffff0000'), '0301'],
  ['attribute length 65535', message(2, '0000ffff'), '0301'],
  ['both lengths beyond the end', message(2, '00040003000000'), '0301'],
  ['UPDATE of 22 octets', message(2, '000000'), '01020016'],
  ['ORIGIN marked optional', update('', `80010100${AS_PATH}${NEXT_HOP}${LOCAL_PREF}`, PREFIX), WITHDRAWN],
  ...[0, 1, 2, 3, 5].map((size): [string, string, Expected] => [
    `NEXT_HOP of ${size} octets`,
    update('', `${ORIGIN}${AS_PATH}4003${hex8(size)}${'0a'.repeat(size)}${LOCAL_PREF}`, PREFIX),
    WITHDRAWN,
  ]),
  ['AS4_PATH of 1 octet before AS_PATH (CVE-2026-41643)', message(2, '0000000b40110102400204ffffdead'), '0301'],
  ['ORIGIN that runs over, without NLRI', message(2, '00000004400120ff'), '0301'],
  [
    'AS_PATH of 510 members',
    update('', `${ORIGIN}5002${hex16(2 * 1022)}${`02ff${'0000fde8'.repeat(255)}`.repeat(2)}${NEXT_HOP}`, PREFIX),
    SAME,
  ],
  ['AS_PATH with a segment of 0 members', update('', `${ORIGIN}4002020200${NEXT_HOP}`, PREFIX), WITHDRAWN],
  ['AS_PATH with segment type 9', update('', `${ORIGIN}4002060901000000fd${NEXT_HOP}`, PREFIX), WITHDRAWN],
  ['300 attributes', update('', GOOD + 'c0630100'.repeat(300), PREFIX), SAME],
  ['communities of 0 and 3 octets', update('', `${GOOD}c00800c02000c01003000000`, PREFIX), WITHDRAWN],
  ['two MP_REACH_NLRI', update('', `${GOOD}${`800e09000101040a09090900`.repeat(2)}`, PREFIX), '0301'],
  ['labelled unicast that was never negotiated', update('', '800f0700010417ffffff', ''), SAME],
  ['same prefix withdrawn and announced', update(PREFIX, GOOD, PREFIX), SAME],
  ['prefix of /33', update('', GOOD, '210a42010000'), '030a'],
  ['prefix of /255', update('', GOOD, `ff${'00'.repeat(32)}`), '030a'],
  ['prefix of /33 withdrawn', update('210a42010000', '', ''), '030a'],
  ['a prefix that is cut', update('', GOOD, '180a42'), '030a'],
  ['path identifiers that were not negotiated', update('', GOOD, '00000001' + '180a42'), '030a'],
  ['host bits set', update('', GOOD, '180a4201' + '140a42ff'), up(ROUTE, '10.66.240.0/20')],
  ['0/0', update('', GOOD, '00'), up(ROUTE, '0.0.0.0/0')],
  ['attribute 0 and 255', update('', `${GOOD}c00000c0ff0141`, PREFIX), SAME],
  ['attribute 99 of 3900 octets', update('', `${GOOD}d063${hex16(3900)}${'ab'.repeat(3900)}`, PREFIX), SAME],
  ['tunnel encapsulation, cut (CVE-2024-44070)', update('', `${GOOD}c017060007000401ff`, PREFIX), SAME],
  ['prefix SID of zeros', update('', `${GOOD}c0280a${'00'.repeat(10)}`, PREFIX), SAME],
  ['entropy label, corrupt', update('', `${GOOD}e01c020001`, PREFIX), SAME],
  ['extended communities of 7 octets', update('', `${GOOD}c01007${'00'.repeat(7)}`, PREFIX), WITHDRAWN],
  ['CLUSTER_LIST twice, one of 3 octets', update('', `${GOOD}800a03000000800a0401010101`, PREFIX), WITHDRAWN],
  ['low flag bits set', update('', `4f010100${AS_PATH}${NEXT_HOP}${LOCAL_PREF}`, PREFIX), SAME],
  ['a UPDATE of 4096 octets', update('', GOOD, '200a420001'.repeat(809)), up(ROUTE, '10.66.0.1/32')],
]

t.setTimeout(120_000)

t.test('what broke other speakers', async (t) => {
  const daemon = await runningDaemon(t, {
    reflector: { clusterId: '10.0.0.1' },
    neighbors: [{ name: 'clients', range: '127.66.0.0/16', asn: 64512, reflectorClient: true, passive: true }],
  })
  const friend = await new Client(daemon.port, '127.66.0.2').establish()
  const downstream = await new Client(daemon.port, '127.66.0.3').establish()
  t.teardown(() => {
    friend.end()
    downstream.end()
  })
  friend.send(update('', GOOD, nlri('10.1.0.0/24')))
  await tablesAre('friend', '10.1.0.0/24')
  let attackers = 0
  const attacker = (): Client => {
    attackers++
    const client = new Client(daemon.port, `127.66.1.${attackers}`)
    t.teardown(() => client.end())
    return client
  }

  for (const [name, bytes, expected] of OPENS) {
    const client = attacker()
    await client.connected()
    client.send(bytes)
    if (expected === '') client.send(message(3, '0602'))
    await client.closed()
    if (expected === '') t.equal(client.notification(), '', `${name}: no NOTIFICATION`)
    else {
      t.equal(client.notification().slice(0, expected.length), expected, `${name}: NOTIFICATION ${expected}`)
      const told = (): number =>
        daemon.log.split('\n').filter((line) => line.includes(`"${client.address}"`) && line.includes('"level":40'))
          .length
      await daemon.until(`says why it refused ${name}`, told)
      t.equal(told(), 1, `${name}: one line in the log says why`)
    }
    await others(name)
  }

  for (const [name, bytes, expected] of ESTABLISHED) {
    const client = attacker()
    await client.establish()
    client.send(update('', GOOD, nlri(ROUTE)))
    await tablesAre(name, '10.1.0.0/24', '10.66.1.0/24')
    client.send(bytes)
    if (typeof expected === 'string') {
      await client.closed()
      t.equal(
        client.notification().slice(0, expected.length || 4),
        expected,
        `${name}: NOTIFICATION ${expected || 'none'}`,
      )
      await tablesAre(name, '10.1.0.0/24')
    } else {
      // What comes after it shows that it was taken in, and that the session stays.
      client.send(update('', GOOD, nlri('10.77.0.0/16')))
      await tablesHave(name, '10.77.0.0/16')
      t.notOk(client.isClosed, `${name}: the session stays`)
      t.same(
        downstreamTable(),
        ['10.1.0.0/24', '10.77.0.0/16', ...expected.prefixes].sort(),
        `${name}: what others hear`,
      )
      client.end()
      await tablesAre(name, '10.1.0.0/24')
    }
    await others(name)
  }
  t.notMatch(daemon.log, /bug:|Error:|undefined|\[object/, 'no line of the log shows a fault of the program')

  async function others(after: string): Promise<void> {
    const watched = (await daemon.neighbors()).filter(
      ({ address }) => address === '127.66.0.2' || address === '127.66.0.3',
    )
    t.same(
      watched.map(({ state, establishedCount }) => [state, establishedCount]),
      [
        ['Established', 1],
        ['Established', 1],
      ],
      `${after}: the others are up`,
    )
  }

  /** What the downstream neighbour was told, and what the daemon says, are these prefixes of others than itself. */
  async function tablesAre(name: string, ...prefixes: string[]): Promise<void> {
    await downstream.until(
      `has only ${prefixes} after ${name}`,
      () => downstreamTable().join() === [...prefixes].sort().join(),
    )
    const { families } = await daemon.summary()
    if (!families.some(({ paths }) => paths === prefixes.length)) t.same(families, prefixes, `${name}: tables`)
  }
  async function tablesHave(name: string, prefix: string): Promise<void> {
    await downstream.until(`has ${prefix} after ${name}`, () => downstreamTable().includes(prefix))
  }
  function downstreamTable(): string[] {
    const receiver = new Receiver()
    receiver.receive(downstream.received)
    return [...receiver.routes.keys()].map((route) => route.slice(2)).sort()
  }
})

function openBody(parameters: string): string {
  return message(1, `04fc00005a7f420001${hex8(parameters.length / 2)}${parameters}`)
}
function withCapabilities(capabilities: string): string {
  return openBody(`02${hex8(capabilities.length / 2)}${capabilities}`)
}
function rfc9072(parameters: string): string {
  return message(1, `04fc00005a7f420001ffff${hex16(parameters.length / 2)}${parameters}`)
}
