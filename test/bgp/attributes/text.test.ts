import t from 'tap'
import {
  formatCommunities,
  formatExtCommunities,
  formatLargeCommunities,
  parseCommunity,
  parseExtCommunity,
  parseLargeCommunity,
} from '../../../src/bgp/attributes/text.js'
import { fromHex, toHex } from '../message/samples.js'

t.test('standard communities', async (t) => {
  t.same(formatCommunities(fromHex('fc000001ffffff01')), ['64512:1', '65535:65281'])
  t.equal(parseCommunity('64512:1'), 0xfc000001)
  t.equal(parseCommunity('65535:65535'), 0xffffffff)
  t.equal(parseCommunity('no-export'), 0xffffff01)
  t.equal(parseCommunity('Blackhole'), 0xffff029a)
  t.equal(parseCommunity('graceful-shutdown'), 0xffff0000)
  for (const bad of ['65536:1', '1:65536', '1', '1:2:3', '', 'no_export', '-1:1', '1:1 ']) {
    t.throws(() => parseCommunity(bad), { message: /is not a community/ }, bad)
  }
})

t.test('large communities', async (t) => {
  t.same(formatLargeCommunities(fromHex('ffffffff0000000100000002')), ['4294967295:1:2'])
  t.equal(toHex(parseLargeCommunity('4294967295:1:2')), 'ffffffff0000000100000002')
  for (const bad of ['4294967296:1:2', '1:2', '1:2:3:4', 'a:b:c', '']) {
    t.throws(() => parseLargeCommunity(bad), { message: /is not a large community/ }, bad)
  }
})

t.test('extended communities', async (t) => {
  t.same(formatExtCommunities(fromHex('0002fc00000000014300000000000002')), ['0002fc0000000001', '4300000000000002'])
  t.equal(toHex(parseExtCommunity('0002FC0000000001')), '0002fc0000000001')
  t.throws(() => parseExtCommunity('rt:1:1'), { message: /16 hex digits/ })
})
