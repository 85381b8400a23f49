/** What the tests start from: three iBGP neighbours with two /26 each. */
import type { LoadOptions } from '../../src/load/types.js'
import { Family } from '../../src/net/family.js'
import { parsePrefix } from '../../src/net/prefix.js'

export const OPTIONS: LoadOptions = {
  host: '127.0.0.1',
  port: 0,
  asn: 64512,
  peerAsn: null,
  ebgp: false,
  workload: 'fanout',
  peers: 3,
  receivers: 0,
  routes: 2,
  attributeSets: null,
  family: Family.IPV4_UNICAST,
  prefixes: parsePrefix('10.0.0.0/8'),
  blockLength: 26,
  localAddresses: parsePrefix('127.1.0.0/16'),
  nextHops: null,
  expectNextHop: null,
  expectAttributes: null,
  holdTimeSeconds: 90,
  window: 64,
  rate: 100,
  seconds: 1,
  seed: 1,
  timeoutSeconds: 30,
  withdraw: true,
  allowOther: false,
  strict: false,
}
