/**
 * Bad neighbours: garbage, strangers, resets in the middle of a message, floods of connections. The daemon answers with the NOTIFICATION
 * that the RFC names or closes, and neither it nor its other sessions are touched.
 */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { FamilyName } from '../../src/net/family.js'
import { foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { runIn } from '../support/daemons/process.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import { Nodebgp } from '../support/nodebgp.js'
import { RAW_CLIENT } from '../support/raw-client.js'
import { requireOrSkip } from '../support/require.js'
import { isControl } from '../support/subject.js'

const FAMILIES: readonly FamilyName[] = ['ipv4-unicast']
const ASN = 64512
const MARKER = 'ff'.repeat(16)

const requirement = {
  commands: ['ip', ...REQUIREMENTS.bird.commands],
  packages: ['iproute2', REQUIREMENTS.bird.package],
  root: true,
}

if (!isControl && requireOrSkip(t, requirement)) {
  t.test('bad neighbours leave the daemon and its other sessions alone', async (t) => {
    const segment = new Segment(t)
    const [here, friend, attacker, stranger] = [
      segment.host('us', 1),
      segment.host('friend', 2),
      segment.host('attacker', 66),
      segment.host('stranger', 200),
    ]
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

    const open = openMessage(attacker)
    const keepalive = `${MARKER}001304`
    const update = `${MARKER}0017020000` + '0000'
    const attacks: readonly { name: string; from: Host; end: string; chunks: string[]; answer: RegExp }[] = [
      {
        name: 'stranger sends an OPEN',
        from: stranger,
        end: 'wait',
        chunks: [open],
        answer: notification('06', '05', true),
      },
      {
        name: 'stranger sends garbage',
        from: stranger,
        end: 'wait',
        chunks: ['00'.repeat(4096)],
        answer: notification('06', '05', true),
      },
      {
        name: 'garbage instead of a marker',
        from: attacker,
        end: 'wait',
        chunks: ['de'.repeat(64)],
        answer: notification('01', '01'),
      },
      {
        name: 'HTTP request',
        from: attacker,
        end: 'wait',
        chunks: [Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n').toString('hex')],
        answer: notification('01', '01'),
      },
      {
        name: 'length below the header',
        from: attacker,
        end: 'wait',
        chunks: [`${MARKER}001204`],
        answer: notification('01', '02'),
      },
      {
        name: 'length above 4096',
        from: attacker,
        end: 'wait',
        chunks: [`${MARKER}ffff02`],
        answer: notification('01', '02'),
      },
      {
        name: 'unknown message type',
        from: attacker,
        end: 'wait',
        chunks: [`${MARKER}001363`],
        answer: notification('01', '03'),
      },
      {
        name: 'KEEPALIVE before OPEN',
        from: attacker,
        end: 'wait',
        chunks: [keepalive],
        answer: notification('05', '01'),
      },
      { name: 'UPDATE before OPEN', from: attacker, end: 'wait', chunks: [update], answer: notification('05', '01') },
      {
        name: 'OPEN of another version',
        from: attacker,
        end: 'wait',
        chunks: [open.replace(`${MARKER}001d01` + '04', `${MARKER}001d01` + '03')],
        answer: notification('02', '01'),
      },
      {
        name: 'OPEN with another AS',
        from: attacker,
        end: 'wait',
        chunks: [openMessage(attacker, 64999)],
        answer: notification('02', '02'),
      },
      {
        name: 'second OPEN',
        from: attacker,
        end: 'wait',
        chunks: [open, keepalive, open],
        answer: notification('0[56]', '..'),
      },
      {
        name: 'UPDATE with lengths that lie',
        from: attacker,
        end: 'wait',
        chunks: [open, keepalive, `${MARKER}001702ffff0000`],
        answer: notification('03', '01'),
      },
      {
        name: 'reset in the middle of an UPDATE',
        from: attacker,
        end: 'reset',
        chunks: [open, keepalive, `${MARKER}10000200`],
        answer: new RegExp(`${MARKER}....02`),
      },
      { name: 'reset at once', from: attacker, end: 'reset-now', chunks: [open.slice(0, 30)], answer: /^/ },
      { name: 'half of an OPEN and FIN', from: attacker, end: 'half', chunks: [open.slice(0, 40)], answer: /^/ },
      { name: 'no byte and FIN', from: attacker, end: 'half', chunks: [], answer: /^/ },
      {
        name: 'second connection of an established neighbour',
        from: friend,
        end: 'wait',
        chunks: [openMessage(friend)],
        answer: notification('06', '07', true),
      },
    ]
    for (const { name, from, end, chunks, answer } of attacks) {
      t.match(await attack(from, here, end, chunks), answer, name)
      await unharmed(name)
    }

    for (const from of [attacker, stranger]) await attack(from, here, 'flood', [open])
    await unharmed('floods of connections')
    await us.withdraw('10.244.1.0/26')
    await bird.lost('10.244.1.0/26')
    await unharmed('and it still sends')

    async function unharmed(after: string): Promise<void> {
      const now = await us.neighbor(friend.v4)
      t.equal(now.state, 'Established', `${after}: session with BIRD is up`)
      t.equal(now.establishedCount, before.establishedCount, `${after}: and was never down`)
    }
  })
}

/** Hex of all that the daemon answered until the connection ended. */
async function attack(from: Host, to: Host, end: string, chunks: readonly string[]): Promise<string> {
  const output = await runIn(from.netns, process.execPath, fileURLToPath(RAW_CLIENT), to.v4, end, ...chunks)
  return output.trim()
}

/** Ends with this NOTIFICATION; a connection that is refused may also be closed without a word. */
function notification(code: string, subcode: string, orSilence = false): RegExp {
  return new RegExp(`${orSilence ? '^$|' : ''}${MARKER}00..03${code}${subcode}(..)*$`)
}

/** OPEN without capabilities: 29 octets, hold time 9 s. */
function openMessage(from: Host, asn = ASN): string {
  const id = from.v4
    .split('.')
    .map((octet) => Number(octet).toString(16).padStart(2, '0'))
    .join('')
  return `${MARKER}001d0104${asn.toString(16).padStart(4, '0')}0009${id}00`
}
