import t from 'tap'
import { decodeRouteRefresh, encodeRouteRefresh, RefreshSubtype } from '../../../src/bgp/message/route-refresh.js'

t.test('there and back', async (t) => {
  for (const subtype of [RefreshSubtype.REQUEST, RefreshSubtype.BORR, RefreshSubtype.EORR, 255]) {
    const bytes = encodeRouteRefresh(2, 1, subtype)
    t.same(decodeRouteRefresh(bytes, 0, bytes.length), { type: 'route-refresh', afi: 2, safi: 1, subtype })
  }
})

t.test('a wrong length: 7/1 with the message for BoRR and EoRR (RFC 7313 §5), else 1/2', async (t) => {
  for (const [subtype, length, code, subcode] of [
    [0, 22, 1, 2],
    [0, 24, 1, 2],
    [1, 22, 7, 1],
    [2, 40, 7, 1],
    [1, 21, 1, 2], // the subtype itself is not there
    [255, 24, 1, 2],
  ] as const) {
    const bytes = Buffer.concat([encodeRouteRefresh(1, 1, subtype), Buffer.alloc(20)]).subarray(0, length)
    const data = code === 7 ? bytes : Uint8Array.of(0, length)
    t.throws(
      () => decodeRouteRefresh(bytes, 0, length),
      { code, subcode, data: Uint8Array.from(data) },
      `${subtype}, ${length}`,
    )
  }
})
