/** AS_PATH towards external peers: whose AS numbers stand in front, and what becomes of those behind. */
import t from 'tap'
import { encodeSegments, formatAsPath } from '../../src/bgp/attributes/as-path.js'
import {
  type AsPathRules,
  isPrivateAs,
  PLAIN_AS_PATH,
  rewriteAsPath,
  withOwnAs,
} from '../../src/reflector/as-path-rules.js'
import { SourceKind } from '../../src/rib/source.js'
import { announceBytes } from '../support/update-bytes.js'
import { attributesWith, type exporterOptions, GroupWorld, sequence } from './given.js'

const rules = (given: Partial<AsPathRules>): AsPathRules => ({ ...PLAIN_AS_PATH, ...given })

t.test('localAsn alone, or our own AS behind it (RFC 7705 §3.1)', async (t) => {
  t.equal(formatAsPath(withOwnAs(sequence(65200), PLAIN_AS_PATH, 64999)), '64999 65200')
  t.equal(formatAsPath(withOwnAs(sequence(65200), rules({ innerAsn: 65000 }), 64999)), '64999 65000 65200')
  t.equal(formatAsPath(withOwnAs(new Uint8Array(0), rules({ innerAsn: 65000 }), 64999)), '64999 65000')
})

t.test("asOverride: the peer's AS becomes the one that it takes us for, wherever it stands", async (t) => {
  const override = rules({ override: true, peerAsn: 65200 })
  t.equal(formatAsPath(rewriteAsPath(sequence(65100, 65200, 65200, 65300), override, 65000)), '65100 65000 65000 65300')
  const set = encodeSegments([
    { type: 2, asNumbers: [65100] },
    { type: 1, asNumbers: [65200, 65300] },
  ])
  t.equal(formatAsPath(rewriteAsPath(set, override, 65000)), '65100 {65000,65300}')
})

t.test('removePrivateAs: all private AS numbers go, the public ones and that of the peer stay', async (t) => {
  const remove = rules({ removePrivate: true, peerAsn: 65200 })
  t.equal(formatAsPath(rewriteAsPath(sequence(64512, 3356, 65200, 4200000000, 1299), remove, 65000)), '3356 65200 1299')
  t.equal(rewriteAsPath(sequence(64512, 65534), remove, 65000).length, 0)
  const both = rules({ removePrivate: true, override: true, peerAsn: 65200 })
  t.equal(formatAsPath(rewriteAsPath(sequence(64512, 65200, 1299), both, 65000)), '65000 1299')
  for (const [asn, is] of [
    [64511, false],
    [64512, true],
    [65534, true],
    [65535, false],
    [4199999999, false],
    [4200000000, true],
    [4294967294, true],
    [4294967295, false],
  ] as const)
    t.equal(isPrivateAs(asn), is, `${asn}`)
})

t.test('what goes out through a group', async (t) => {
  const cases: readonly [string, Parameters<typeof exporterOptions>[0], string][] = [
    ['plain', {}, '65000 65101 3356 65102'],
    ['localAsn', { localAsn: 64999 }, '64999 65101 3356 65102'],
    ['localAsn and ours', { localAsn: 64999, asPath: rules({ innerAsn: 65000 }) }, '64999 65000 65101 3356 65102'],
    ['asOverride', { asPath: rules({ override: true, peerAsn: 65102 }) }, '65000 65101 3356 65000'],
    ['removePrivateAs', { asPath: rules({ removePrivate: true, peerAsn: 65109 }) }, '65000 3356'],
  ]
  for (const [name, options, expected] of cases) {
    const world = new GroupWorld({ logOctets: 1e6, windowOctets: 1e6 })
    const from = world.up('from', { kind: SourceKind.EBGP })
    const to = world.up('to', { kind: SourceKind.EBGP, ...options })
    const attributes = attributesWith({ asPath: sequence(65101, 3356, 65102), localPref: -1 })
    world.send(from, announceBytes(['10.1.0.0/16'], attributes, true))
    world.quiet()
    const sent =
      world.group().family === 0 && [...world.reflector.groups()].find(({ members }) => members.has(to.source.index))
    t.ok(sent)
    if (!sent) return
    const set = sent.sent(1)
    const path = Buffer.from(sent.outSets.octets(set)).toString('hex')
    t.ok(
      path.includes(Buffer.from(sequence(...expected.split(' ').map(Number))).toString('hex')),
      `${name}: ${expected}`,
    )
  }
})
