/**
 * Bad neighbours: garbage, strangers, resets in the middle of a message, floods of connections. Each gets the NOTIFICATION that the RFC names,
 * with its data, or a closed connection; nothing of it stays, and neither the daemon nor its other sessions are touched.
 */
import t from 'tap'
import type { FamilyName } from '../../src/net/family.js'
import { foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import { Nodebgp } from '../support/nodebgp.js'
import { KEEPALIVE, MARKER, type OpenFields, rawOpen, rawSession } from '../support/raw-messages.js'
import { requireOrSkip } from '../support/require.js'
import { isControl } from '../support/subject.js'
import { until } from '../support/wait.js'

const FAMILIES: readonly FamilyName[] = ['ipv4-unicast']
const ASN = 64512
const NOTHING: readonly string[] = []

interface Attack {
  readonly name: string
  /** Hex, as it is sent; the address is the attacker's own. */
  readonly chunks: (address: string) => readonly string[]
  readonly end?: 'reset' | 'reset-now' | 'half'
  /** All messages that come back, UPDATEs and the KEEPALIVEs of the session left out. */
  readonly answer: readonly string[]
}

/** Octets that are no message at all, and messages that are no OPEN: the daemon has sent its OPEN and waits for ours (RFC 4271 §6.1, §6.2, RFC 6608). */
const BEFORE_OPEN: readonly Attack[] = [
  { name: 'garbage', chunks: () => ['de'.repeat(64)], answer: ['OPEN', 'NOTIFICATION 1/1 '] },
  { name: 'zeros', chunks: () => ['00'.repeat(4096)], answer: ['OPEN', 'NOTIFICATION 1/1 '] },
  {
    name: 'HTTP request',
    chunks: () => [hex('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
    answer: ['OPEN', 'NOTIFICATION 1/1 '],
  },
  { name: 'length below the header', chunks: () => [`${MARKER}001204`], answer: ['OPEN', 'NOTIFICATION 1/2 0012'] },
  { name: 'length above 4096', chunks: () => [`${MARKER}ffff02`], answer: ['OPEN', 'NOTIFICATION 1/2 ffff'] },
  { name: 'KEEPALIVE with a body', chunks: () => [`${MARKER}00140400`], answer: ['OPEN', 'NOTIFICATION 1/2 0014'] },
  { name: 'unknown message type', chunks: () => [`${MARKER}001363`], answer: ['OPEN', 'NOTIFICATION 1/3 63'] },
  { name: 'KEEPALIVE before OPEN', chunks: () => [KEEPALIVE], answer: ['OPEN', 'NOTIFICATION 5/1 04'] },
  { name: 'UPDATE before OPEN', chunks: () => [`${MARKER}00170200000000`], answer: ['OPEN', 'NOTIFICATION 5/1 02'] },
  { name: 'reset at once', chunks: (from) => [open(from).slice(0, 30)], end: 'reset-now', answer: [] },
  { name: 'half of an OPEN and FIN', chunks: (from) => [open(from).slice(0, 40)], end: 'half', answer: ['OPEN'] },
  { name: 'no octet and FIN', chunks: () => NOTHING, end: 'half', answer: ['OPEN'] },
]

const BAD_OPENS: readonly Attack[] = [
  {
    name: 'another version',
    chunks: (from) => [open(from, { version: 3 })],
    answer: ['OPEN', 'NOTIFICATION 2/1 0004'],
  },
  { name: 'another AS', chunks: (from) => [open(from, { asn: 64999 })], answer: ['OPEN', 'NOTIFICATION 2/2 '] },
  { name: 'AS 0', chunks: (from) => [open(from, { asn: 0 })], answer: ['OPEN', 'NOTIFICATION 2/2 '] },
  { name: 'identifier 0.0.0.0', chunks: () => [open('0.0.0.0')], answer: ['OPEN', 'NOTIFICATION 2/3 00000000'] },
  { name: 'our own identifier', chunks: () => [open('172.31.5.1')], answer: ['OPEN', 'NOTIFICATION 2/3 ac1f0501'] },
  {
    name: 'hold time 2 s',
    chunks: (from) => [open(from, { holdTimeSeconds: 2 })],
    answer: ['OPEN', 'NOTIFICATION 2/6 0002'],
  },
  {
    name: 'parameters that lie',
    chunks: (from) => [open(from).replace(/00$/, 'ff')],
    answer: ['OPEN', 'NOTIFICATION 2/0 '],
  },
]

const ESTABLISHED: readonly Attack[] = [
  {
    name: 'second OPEN',
    chunks: (from) => [open(from), KEEPALIVE, open(from)],
    answer: ['OPEN', 'NOTIFICATION 5/3 01'],
  },
  {
    name: 'UPDATE with lengths that lie',
    chunks: (from) => [open(from), KEEPALIVE, `${MARKER}001702ffff0000`],
    answer: ['OPEN', 'NOTIFICATION 3/1 '],
  },
  // A NOTIFICATION is never answered with one (RFC 4271 §6.4).
  {
    name: 'NOTIFICATION that is cut off',
    chunks: (from) => [open(from), KEEPALIVE, `${MARKER}00140306`],
    answer: ['OPEN'],
  },
  {
    name: 'reset in the middle of an UPDATE',
    chunks: (from) => [open(from), KEEPALIVE, `${MARKER}10000200`],
    end: 'reset',
    answer: ['OPEN'],
  },
]

const requirement = {
  commands: ['ip', ...REQUIREMENTS.bird.commands],
  packages: ['iproute2', REQUIREMENTS.bird.package],
  root: true,
}

if (!isControl && requireOrSkip(t, requirement)) {
  t.test('bad neighbours leave the daemon and its other sessions alone', async (t) => {
    const segment = new Segment(t)
    const here = segment.host('us', 1)
    const friend = segment.host('friend', 2)
    const attacker = segment.host('attacker', 66)
    const stranger = segment.host('stranger', 200)
    const us = segment.add(
      new Nodebgp({
        host: here,
        asn: ASN,
        routes: [{ prefix: '10.244.1.0/26' }],
        peers: [
          { address: friend.v4, asn: ASN, families: FAMILIES },
          { range: '172.31.5.64/26', asn: ASN, families: FAMILIES, passive: true },
        ],
      }),
    )
    const bird = segment.add(
      foreign('bird', {
        host: friend,
        asn: ASN,
        routes: [{ prefix: '10.244.2.0/26' }],
        peers: [{ address: here.v4, asn: ASN, families: FAMILIES }],
      }),
    )
    await Promise.all([us.start(), bird.start()])
    await us.learned('10.244.2.0/26')
    await bird.learned('10.244.1.0/26')
    const before = await us.neighbor(friend.v4)

    // Each from an address of its own: the back-off of one must not answer the next.
    for (const [index, attack] of [...BEFORE_OPEN, ...BAD_OPENS, ...ESTABLISHED].entries()) {
      const address = `172.31.5.${70 + index}`
      attacker.ns.ip(`addr add ${address}/24 dev eth0`)
      const answer = await send(attacker, address, here, attack.end ?? 'wait', attack.chunks(address))
      t.same(answer, attack.answer, `${attack.name}: answer`)
      await gone(address, attack.name)
      await unharmed(attack.name)
    }

    // Once more and again until the first back-off has not yet passed: it grows with every attempt.
    await until(
      'an address that has just sent garbage is refused for a while',
      () => send(attacker, '172.31.5.70', here, 'wait', ['de'.repeat(64)]),
      (answer) => answer.join() === 'NOTIFICATION 6/5 ',
    )
    for (const chunk of [open(stranger.v4), '00'.repeat(4096)])
      t.same(await send(stranger, stranger.v4, here, 'wait', [chunk]), [], 'a stranger is told nothing')
    t.same(
      await send(friend, friend.v4, here, 'wait', [open(friend.v4)]),
      ['NOTIFICATION 6/7 '],
      'second connection of an established neighbour',
    )
    await unharmed('refused connections')

    for (const host of [attacker, stranger]) await send(host, host.v4, here, 'flood', [open(host.v4)])
    await gone(attacker.v4, 'floods of connections')
    await unharmed('floods of connections')
    await us.withdraw('10.244.1.0/26')
    await bird.lost('10.244.1.0/26')
    await unharmed('and it still sends')

    async function unharmed(after: string): Promise<void> {
      const now = await us.neighbor(friend.v4)
      t.same([now.state, now.establishedCount], ['Established', before.establishedCount], `${after}: BIRD is still up`)
    }
    async function gone(address: string, what: string): Promise<void> {
      await until(
        `${what}: nothing of it is left`,
        () => us.sessions(),
        (sessions) => !sessions.has(address),
      )
    }
  })
}

/** What the daemon answered until the connection ended: `OPEN`, `NOTIFICATION code/subcode data`, … */
async function send(from: Host, address: string, to: Host, end: string, chunks: readonly string[]): Promise<string[]> {
  const texts = (await rawSession({ host: from, address }, to, end, chunks)).map(({ type, body }) =>
    type === 3
      ? `NOTIFICATION ${body[0]}/${body[1]} ${body.toString('hex', 2)}`
      : (MESSAGE_NAMES[type] ?? `type ${type}`),
  )
  return texts.filter((text) => text !== 'UPDATE' && text !== 'KEEPALIVE')
}

function open(address: string, other: Partial<OpenFields> = {}): string {
  return rawOpen(address, { asn: ASN, ...other })
}

function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}

const MESSAGE_NAMES = ['', 'OPEN', 'UPDATE', 'NOTIFICATION', 'KEEPALIVE', 'ROUTE-REFRESH'] as const
