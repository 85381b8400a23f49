/** Every option of a group changes its key: an option that is forgotten in groupKey() would let peers share what they must not. */
import t from 'tap'
import { Family } from '../../src/net/family.js'
import type { ExporterOptions } from '../../src/reflector/exporter.js'
import { groupKey } from '../../src/reflector/reflector.js'
import { SourceKind } from '../../src/rib/source.js'
import { policy } from '../rib/given.js'
import { exporterOptions } from './given.js'

const first = policy([{}, 'accept'])

/** Other values than those of exporterOptions(); does not compile while an option is missing. */
const OTHER: { readonly [Option in keyof Required<ExporterOptions>]: readonly ExporterOptions[Option][] } = {
  family: [Family.IPV6_UNICAST],
  kind: [SourceKind.EBGP, SourceKind.NON_CLIENT],
  localAsn: [1, 4200000000],
  clusterId: [0, 0xffffffff],
  as4: [false],
  maxMessageOctets: [65535],
  sendPaths: [1, 2, 255],
  extendedNextHop: [true],
  zone: [1, 2],
  role: [0, 1, 2, 3, 4],
  selfNextHop: [null, Uint8Array.from([10, 0, 0, 2]), new Uint8Array(16)],
  sharedSubnet: [
    { address: Uint8Array.from([10, 0, 0, 0]), length: 24 },
    { address: Uint8Array.from([10, 0, 0, 0]), length: 25 },
    { address: Uint8Array.from([10, 0, 1, 0]), length: 24 },
  ],
  nextHopSelf: [true],
  nextHopKeep: [true],
  sendCommunities: [false],
  asPath: [
    { innerAsn: 64512, peerAsn: 0, override: false, removePrivate: false },
    { innerAsn: 0, peerAsn: 64512, override: true, removePrivate: false },
    { innerAsn: 0, peerAsn: 64513, override: true, removePrivate: false },
    { innerAsn: 0, peerAsn: 64512, override: false, removePrivate: true },
  ],
  routeServerClient: [true],
  tunnelEncapsulation: [false],
  gracefulShutdown: [true],
  longLived: [true],
  exportPolicy: ['none', first, policy([{}, 'accept'])],
}

t.test('every option, every value: another key', async (t) => {
  const base = exporterOptions()
  const seen = new Map([[groupKey(base), 'the defaults']])
  for (const [option, values] of Object.entries(OTHER)) {
    for (const value of values) {
      const key = groupKey({ ...base, [option]: value })
      t.equal(seen.get(key), undefined, `${option}: ${key}`)
      seen.set(key, option)
    }
  }
})

t.test('equal options: the same key', async (t) => {
  t.equal(groupKey(exporterOptions()), groupKey(exporterOptions()))
  t.equal(groupKey(exporterOptions({ exportPolicy: first })), groupKey(exporterOptions({ exportPolicy: first })))
})
