/** The compiled policies of the running configuration, by name. A reload compiles what changed and keeps the rest, with its memos. */
import type { Config, NeighborConfig, PolicyConfig } from '../config/types.js'
import { compilePolicy } from '../rib/policy.js'
import type { CompiledPolicy } from '../rib/policy-types.js'

export type PolicyChoice = CompiledPolicy | 'none' | null

export class Policies {
  #compiled = new Map<string, { readonly config: PolicyConfig; readonly policy: CompiledPolicy }>()

  /** Takes the policies of a configuration; returns those that were replaced or are gone. */
  configure(config: Config): CompiledPolicy[] {
    const before = this.#compiled
    this.#compiled = new Map()
    for (const [name, policy] of config.policies) {
      const earlier = before.get(name)
      const same = earlier !== undefined && comparable(earlier.config) === comparable(policy)
      this.#compiled.set(name, same ? earlier : { config: policy, policy: compilePolicy(policy) })
    }
    return [...before]
      .filter(([name, { policy }]) => this.#compiled.get(name)?.policy !== policy)
      .map(([, { policy }]) => policy)
  }

  /** What an external peer without a policy gets is nothing (RFC 8212 §2); an internal one everything. */
  importOf(neighbor: NeighborConfig): PolicyChoice {
    return this.#choice(neighbor.importPolicy, neighbor.ebgp)
  }
  exportOf(neighbor: NeighborConfig): PolicyChoice {
    return this.#choice(neighbor.exportPolicy, neighbor.ebgp)
  }

  #choice(name: string | null, ebgp: boolean): PolicyChoice {
    if (name === null) return ebgp ? 'none' : null
    return this.#compiled.get(name)!.policy
  }
}

function comparable(config: PolicyConfig): string {
  return JSON.stringify(config, (_, value: unknown) => (value instanceof Uint8Array ? [...value] : value))
}
