/** A RIB with sources and an Adj-RIB-In, in octets. */
import { encodeSegments } from '../../src/bgp/attributes/as-path.js'
import { NO_ATTRIBUTES } from '../../src/bgp/attributes/decode.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import type { AttributeFault } from '../../src/bgp/errors.js'
import type { PolicyConfig, PolicyMatch, PolicySet, PolicyStatement } from '../../src/config/types.js'
import { FAMILIES, type Family } from '../../src/net/family.js'
import { parsePrefix } from '../../src/net/prefix.js'
import { AdjRibIn } from '../../src/rib/adj-rib-in.js'
import type { AttributeSet } from '../../src/rib/attribute-set.js'
import { PLAIN_INTAKE } from '../../src/rib/intake.js'
import { PathState } from '../../src/rib/path-state.js'
import { compilePolicy } from '../../src/rib/policy.js'
import type { CompiledPolicy } from '../../src/rib/policy-types.js'
import { Rib } from '../../src/rib/rib.js'
import { type RibSource, SourceKind, type SourceOptions } from '../../src/rib/source.js'

export const ASN = 65000
export const ROUTER_ID = 0x0a000001
export const CLUSTER_ID = 0x0a0000cc

export function asPath(...asNumbers: number[]): Uint8Array {
  return encodeSegments(asNumbers.length === 0 ? [] : [{ type: 2, asNumbers }])
}

export function attributesWith(given: Partial<PathAttributes> = {}): PathAttributes {
  return { ...NO_ATTRIBUTES, origin: 0, asPath: asPath(), nextHop: Uint8Array.from([10, 0, 1, 1]), ...given }
}

export function policy(
  ...statements: [match: Partial<PolicyMatch>, action: PolicyStatement['action'], set?: Partial<PolicySet>][]
): CompiledPolicy {
  const config: PolicyConfig = {
    name: 'test',
    statements: statements.map(([match, action, set]) => ({
      match: { ...NO_MATCH, ...match },
      set: { ...NO_SET, ...set },
      action,
    })),
  }
  return compilePolicy(config)
}

export function prefixMatch(text: string, minLength?: number, maxLength?: number): NonNullable<PolicyMatch['prefix']> {
  const prefix = parsePrefix(text)
  return [{ prefix, minLength: minLength ?? prefix.length, maxLength: maxLength ?? prefix.length }]
}

const NO_MATCH: PolicyMatch = {
  prefix: null,
  communities: null,
  asPath: null,
  asPathLength: null,
  peer: null,
  peerType: null,
  family: null,
  nextHop: null,
  origin: null,
}
const NO_SET: PolicySet = {
  localPref: null,
  med: null,
  weight: null,
  origin: null,
  communitiesAdd: [],
  communitiesRemove: [],
  communitiesSet: null,
  prepend: [],
  nextHop: null,
}

export class RibWorld {
  readonly rib: Rib
  readonly input: AdjRibIn
  readonly faults: AttributeFault[] = []
  readonly endsOfRib: Family[] = []
  nowSeconds = 0
  #number = 0

  constructor(clusterId: number | null = CLUSTER_ID) {
    this.rib = new Rib({
      asn: ASN,
      routerId: ROUTER_ID,
      clusterId,
      seed: 5,
      nodeName: 'test',
      nowSeconds: () => this.nowSeconds,
    })
    this.input = new AdjRibIn(this.rib, {
      fault: (_, fault) => this.faults.push(fault),
      endOfRib: (_, family) => this.endsOfRib.push(family),
    })
  }

  source(given: Partial<SourceOptions> = {}): RibSource {
    const number = ++this.#number
    const kind = given.kind ?? SourceKind.CLIENT
    return this.rib.openSource({
      name: `p${number}`,
      kind,
      bgpId: 0x0a000100 + number,
      asn: kind === SourceKind.EBGP ? 65100 : ASN,
      localAsn: ASN,
      address: Uint8Array.from([10, 0, 1, number]),
      as4: true,
      addPathReceive: 0,
      weight: 0,
      allowOwnAs: 0,
      intake: PLAIN_INTAKE,
      importPolicy: null,
      ...given,
    })
  }

  receive(source: RibSource, octets: Uint8Array, families = 3): void {
    this.input.update(source, families, octets, 0, octets.length)
  }

  id(prefix: string): number {
    const { family, address, length } = parsePrefix(prefix)
    const view = new DataView(Uint8Array.from([...address, ...new Array(12).fill(0)]).buffer)
    const word = (at: number): number => (address.length === 4 && at > 0 ? 0 : view.getUint32(at * 4))
    return this.rib.tables[family]!.prefixes.find(word(0), word(1), word(2), word(3), length)
  }

  /** `prefix`, or with a path identifier `prefix@7`. */
  path(source: RibSource, text: string): number {
    const [prefix, receivedId] = text.split('@') as [string, string?]
    const id = this.id(prefix)
    return id === 0
      ? 0
      : this.rib.tables[parsePrefix(prefix).family]!.paths.find(id, source.index, Number(receivedId ?? 0))
  }

  /** Name of the state of a path, null for no path. */
  state(source: RibSource, prefix: string): string | null {
    const path = this.path(source, prefix)
    if (path === 0) return null
    const state = this.rib.tables[parsePrefix(prefix.split('@')[0]!).family]!.paths.state[path]
    return Object.entries(PathState).find(([, value]) => value === state)![0]
  }

  effective(source: RibSource, prefix: string): AttributeSet | null {
    const { paths } = this.rib.tables[parsePrefix(prefix.split('@')[0]!).family]!
    const id = paths.effective[this.path(source, prefix)]!
    return id === 0 ? null : this.rib.store.get(id)
  }

  /** Prefixes in the table of a family that have a path. */
  count(family: Family): number {
    return this.rib.tables[family]!.paths.size
  }

  /** All that is dirty is decided; returns the ids decided. */
  turn(): number[] {
    const decided: number[] = []
    if (this.rib.hasClearing) this.rib.clearSlice(1 << 20)
    for (const { family } of FAMILIES) {
      for (let count = this.rib.decide(family); count > 0; count = this.rib.decide(family)) {
        decided.push(...this.rib.batch.subarray(0, count))
        this.rib.finish(family, count)
      }
    }
    this.rib.store.sweep()
    return decided
  }

  winner(prefix: string): { readonly source: string; readonly reason: number } | null {
    const { family } = parsePrefix(prefix)
    const { paths } = this.rib.tables[family]!
    const id = this.id(prefix)
    const best = paths.best[id]!
    return best === 0
      ? null
      : { source: this.rib.source(paths.source[best]!)!.options.name, reason: paths.bestReason[id]! }
  }
}
