import t from 'tap'
import { type LocalOffer, localCapabilities, negotiate } from '../../../src/bgp/capabilities/negotiate.js'
import type { Capability, OpenMessage } from '../../../src/bgp/message/message.js'
import { Family } from '../../../src/net/family.js'
import { fromHex, toHex } from '../message/samples.js'

const { IPV4_UNICAST, IPV6_UNICAST } = Family
const LOCAL: LocalOffer = {
  asn: 70000,
  families: [IPV4_UNICAST, IPV6_UNICAST],
  routeRefresh: true,
  holdTimeSeconds: 90,
  keepaliveSeconds: 30,
}

function open(capabilities: [number, string][], holdTimeSeconds = 90): OpenMessage {
  const list: Capability[] = capabilities.map(([code, hex]) => ({ code, value: fromHex(hex) }))
  return { type: 'open', version: 4, myAs: 65001, asn: 65001, holdTimeSeconds, bgpId: 7, capabilities: list }
}

t.test('what we offer', async (t) => {
  t.same(
    localCapabilities(LOCAL).map(({ code, value }) => [code, toHex(value)]),
    [
      [1, '00010001'],
      [1, '00020001'],
      [2, ''],
      [65, '00011170'],
    ],
  )
  t.same(
    localCapabilities({ ...LOCAL, families: [IPV6_UNICAST], routeRefresh: false }).map(({ code }) => code),
    [1, 65],
  )
})

t.test('families (RFC 4760 §8)', async (t) => {
  const families = (capabilities: [number, string][], local = LOCAL): readonly Family[] =>
    negotiate(local, open(capabilities)).families
  t.same(families([]), [IPV4_UNICAST], 'without any multiprotocol capability: IPv4')
  t.same(families([[2, '']]), [IPV4_UNICAST])
  t.same(families([[1, '00020001']]), [IPV6_UNICAST], 'with some, but not IPv4: no IPv4')
  t.same(families([[1, '00190046']]), [])
  t.same(
    families([
      [1, '00020001'],
      [1, '00010001'],
      [1, '00010001'],
    ]),
    [IPV4_UNICAST, IPV6_UNICAST],
  )
  t.same(families([], { ...LOCAL, families: [IPV6_UNICAST] }), [])
  t.same(families([[1, '000100ff01']]), [], 'a malformed one is none')
})

t.test('4-octet AS and route refresh', async (t) => {
  t.match(negotiate(LOCAL, open([])), {
    as4: false,
    routeRefresh: false,
    peerAsn: 65001,
    peerBgpId: 7,
    maxMessageOctets: 4096,
  })
  t.match(
    negotiate(
      LOCAL,
      open([
        [65, '0000fde9'],
        [2, ''],
      ]),
    ),
    { as4: true, routeRefresh: true },
  )
  t.match(negotiate(LOCAL, open([[128, '']])), { routeRefresh: true }, 'the old code')
  t.match(negotiate({ ...LOCAL, routeRefresh: false }, open([[2, '']])), { routeRefresh: false })
})

t.test('hold time and keepalive', async (t) => {
  const times = (hold: number, keepalive: number, peer: number): [number, number] => {
    const local = { ...LOCAL, holdTimeSeconds: hold, keepaliveSeconds: keepalive }
    const { holdTimeSeconds, keepaliveSeconds } = negotiate(local, open([], peer))
    return [holdTimeSeconds, keepaliveSeconds]
  }
  t.same(times(90, 30, 180), [90, 30])
  t.same(times(180, 60, 9), [9, 3], 'a third of what was agreed')
  t.same(times(90, 5, 180), [90, 5], 'a shorter one stays')
  t.same(times(90, 30, 0), [0, 0])
  t.same(times(0, 0, 90), [0, 0])
  t.same(times(90, 0, 90), [90, 30])
  t.same(times(3, 1, 3), [3, 1])
  t.same(times(90, 30, 4), [4, 1])
})
