import fc from 'fast-check'
import t from 'tap'
import { capabilityName, describeCapability } from '../../../src/bgp/capabilities/describe.js'
import { fromHex } from '../message/samples.js'

const describe = (code: number, hex: string): unknown => describeCapability({ code, value: fromHex(hex) })

t.test('known ones', async (t) => {
  t.same(describe(1, '00010001'), { family: 'ipv4-unicast' })
  t.same(describe(1, '00190046'), { family: '25/70' })
  t.same(describe(64, '4078'), { restarting: false, notification: true, restartTimeSeconds: 120, families: [] })
  t.same(describe(69, '00010101 00020102'), {
    families: [
      { family: 'ipv4-unicast', mode: 'receive' },
      { family: 'ipv6-unicast', mode: 'send' },
    ],
  })
  t.same(describe(9, '09'), { role: '9' })
  t.same(describe(73, '036e0a3100'), { hostname: 'n 1', domain: '' }, 'control characters are gone')
  t.equal(capabilityName(65), 'four-octet-as')
  t.equal(capabilityName(200), 'capability 200')
})

t.test('a value of the wrong form has no fields (RFC 5492 §3)', async (t) => {
  const bad: [number, string][] = [
    [1, '000100'],
    [1, '0001000100'],
    [64, ''],
    [64, '40'],
    [64, '4078000101'],
    [65, '0000fc'],
    [69, '000101'],
    [71, '00010180000e'],
    [73, ''],
    [73, '05616263'],
    [73, '0161ff'],
    [75, '00ff'.slice(2)],
    [75, '0561'],
    [5, '0001'],
    [9, ''],
    [9, '0000'],
    [76, '00010100'],
  ]
  for (const [code, hex] of bad) t.equal(describe(code, hex), undefined, `${code} ${hex}`)
  t.equal(describe(200, 'ff'), undefined)
})

t.test('any value: no error, nothing read outside of it', async (t) => {
  fc.assert(
    fc.property(fc.nat(255), fc.uint8Array({ maxLength: 30 }), (code, value) => {
      const around = Uint8Array.of(...value, ...new Array<number>(64).fill(0x41))
      const alone = describeCapability({ code, value })
      t.same(describeCapability({ code, value: around.subarray(0, value.length) }), alone)
    }),
    { seed: 1, numRuns: 500 },
  )
})
