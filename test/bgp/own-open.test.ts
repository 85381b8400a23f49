/** What the OPENs of a range's sessions share, in both directions, is what each of them would have by itself. */
import t from 'tap'
import { NO_OFFER } from '../../src/bgp/capabilities/offer.js'
import { NotificationError } from '../../src/bgp/errors.js'
import { localOffer } from '../../src/bgp/local-offer.js'
import { decodeOpen, encodeOpen } from '../../src/bgp/message/open.js'
import { OpenAnswers } from '../../src/bgp/open-answers.js'
import { acceptOpen, localOpen, type OpenSettings } from '../../src/bgp/open-check.js'
import { OwnOpens } from '../../src/bgp/own-open.js'
import { Family } from '../../src/net/family.js'
import { message } from '../support/pair.js'
import { neighbor, range } from '../support/speaker.js'

const SETTINGS: OpenSettings = {
  asn: 64512,
  routerId: 1,
  peerAsn: 64513,
  families: [Family.IPV4_UNICAST],
  holdTimeSeconds: 90,
  keepaliveSeconds: 0,
  sendCapabilities: true,
  offer: { ...NO_OFFER, extendedMessages: true, enhancedRefresh: true },
}
const OPEN = message(1, '04 fc01 005a 00000002 12 02 10 0104 0001 0001 4104 0000fc01 0600 4600')

/** What comes of it, or how it is refused. */
function outcome(accept: () => unknown): unknown {
  try {
    return accept()
  } catch (error) {
    if (!(error instanceof NotificationError)) throw error
    return { code: error.code, subcode: error.subcode, data: [...error.data], text: error.message }
  }
}

function alone(octets: Uint8Array, settings: OpenSettings): unknown {
  return outcome(() => {
    const open = decodeOpen(octets, 0, octets.length)
    return { open, negotiated: acceptOpen(open, settings) }
  })
}

t.test('an OPEN behind another one that differs in any octet: the same answer as by itself', async (t) => {
  let shared = 0
  for (let at = 19; at < OPEN.length; at++) {
    for (let value = 0; value < 256; value++) {
      const other = Uint8Array.from(OPEN)
      other[at] = value
      const answers = new OpenAnswers()
      const first = answers.accept(OPEN, 0, OPEN.length, SETTINGS)
      const second = outcome(() => answers.accept(other, 0, other.length, SETTINGS))
      const expected = alone(other, SETTINGS)
      if (JSON.stringify(second) !== JSON.stringify(expected)) t.same(second, expected, `octet ${at} is ${value}`)
      if ((second as typeof first).negotiated?.peerCapabilities === first.negotiated.peerCapabilities) shared++
    }
  }
  // 4 octets of identifier with 256 values each, less 0.0.0.1, which is ours but in another AS; in all other octets one of 256.
  t.equal(shared, 4 * 256 - 1 - 1 + (OPEN.length - 19 - 4), 'only the identifier may differ')
})

t.test('our own identifier in our AS, and none, are refused behind a good one', async (t) => {
  const settings = { ...SETTINGS, peerAsn: 64512 }
  const open = (bgpId: string) => message(1, `04 fc00 005a ${bgpId} 00`)
  const answers = new OpenAnswers()
  const good = open('00000002')
  answers.accept(good, 0, good.length, settings)
  for (const bgpId of ['00000001', '00000000']) {
    const bad = open(bgpId)
    t.match(
      outcome(() => answers.accept(bad, 0, bad.length, settings)),
      { code: 2, subcode: 3 },
    )
  }
  const longer = Buffer.concat([new Uint8Array(7), good])
  t.equal(answers.accept(longer, 7, longer.length, settings).negotiated.peerBgpId, 2, 'anywhere in the buffer')
})

t.test('our OPEN: one for all of a range, and another one when what it says changes', async (t) => {
  const state = { hostname: 'node', forwarding: false, restarting: (address: string) => address === '10.0.0.9' }
  const graceful = { restarter: true, notification: true, restartTimeSeconds: 120, staleTimeSeconds: 300 }
  const nodes = neighbor({
    name: 'nodes',
    range: range('10.0.0.0/8'),
    gracefulRestart: graceful,
    advertiseHostname: true,
  })
  const copy = (address: string) => ({ ...nodes, name: `nodes-${address}`, address, range: null })
  const opens = new OwnOpens(7, state)
  const expected = (address: string, asn: number, sendCapabilities: boolean) =>
    encodeOpen(
      localOpen({
        ...nodes,
        asn,
        routerId: 7,
        peerAsn: nodes.asn,
        sendCapabilities,
        offer: localOffer(copy(address), state),
      }),
    )
  const one = opens.of(copy('10.0.0.1'), nodes, 64512, true)
  t.same(one.octets, expected('10.0.0.1', 64512, true))
  t.equal(opens.of(copy('10.0.0.2'), nodes, 64512, true), one, 'shared')
  t.not(opens.of(copy('10.0.0.2'), null, 64512, true), one, 'of a configured neighbour')
  const cases = [
    ['10.0.0.9', 64512, true],
    ['10.0.0.1', 64513, true],
    ['10.0.0.1', 64512, false],
  ] as const
  for (const [address, asn, sends] of cases) {
    const other = opens.of(copy(address), nodes, asn, sends)
    t.same(other.octets, expected(address, asn, sends), `${address} ${asn} ${sends}`)
    t.notSame(other.octets, one.octets)
    t.not(other.answers, one.answers)
    t.same(opens.of(copy('10.0.0.1'), nodes, 64512, true).octets, one.octets, 'and back')
  }
  state.forwarding = true
  t.same(opens.of(copy('10.0.0.1'), nodes, 64512, true).octets, expected('10.0.0.1', 64512, true))
  t.notSame(opens.of(copy('10.0.0.1'), nodes, 64512, true).octets, one.octets, 'F bit')
})
