/**
 * Neighbours and FDB entries of a VXLAN device: those that the routes need, those that are there, and what is to be done about the difference (pure).
 *
 * In this order: neighbour, FDB entry, route; in the reverse order when no route needs the far node any more. So no route ever leads to a neighbour that
 * the kernel would ask for by ARP, which nobody answers.
 */
import type { FarNode } from './types.js'

type VxlanNode = Extract<FarNode, { kind: 'vxlan' }>

/** What is there, as text that says all of it: address → MAC; MAC → `192.168.0.2 port 8472 vni 77`, several of these joined by `|`. */
export interface VxlanEntries {
  readonly neighbours: ReadonlyMap<string, string>
  readonly fdb: ReadonlyMap<string, string>
}

/** Arguments of `ip` and of `bridge`, without the device. */
export interface VxlanChanges {
  readonly ip: readonly string[]
  readonly bridge: readonly string[]
}

export class FarTable {
  readonly #nodes = new Map<string, readonly VxlanNode[]>()
  #wanted: VxlanEntries | null = null

  want(prefix: string, far: readonly FarNode[]): void {
    const nodes = far.filter((one): one is VxlanNode => one.kind === 'vxlan')
    const before = this.#nodes.get(prefix)
    if (nodes.length > 0) {
      if (before !== undefined && isSame(before, nodes)) return
      // The newest goes last: of two that disagree about an address, it is believed.
      this.#nodes.delete(prefix)
      this.#nodes.set(prefix, nodes)
    } else if (!this.#nodes.delete(prefix)) return
    this.#wanted = null
  }

  get isEmpty(): boolean {
    return this.#nodes.size === 0
  }

  get wanted(): VxlanEntries {
    if (this.#wanted !== null) return this.#wanted
    const neighbours = new Map<string, string>()
    const fdb = new Map<string, string>()
    for (const nodes of this.#nodes.values()) {
      for (const node of nodes) {
        neighbours.set(node.address, node.mac)
        fdb.set(node.mac, fdbText(node.endpoint, node.port, node.vni))
      }
    }
    this.#wanted = { neighbours, fdb }
    return this.#wanted
  }

  /** What is missing or wrong. */
  missing(actual: VxlanEntries): VxlanChanges {
    const { neighbours, fdb } = this.wanted
    return {
      ip: differing(neighbours, actual.neighbours).map(
        ([address, mac]) => `neigh replace ${address} lladdr ${mac} nud permanent`,
      ),
      bridge: differing(fdb, actual.fdb).flatMap(([mac, text]) => {
        // Several destinations of one MAC (appended by hand): a replace would reach only the first of them.
        const others = (actual.fdb.get(mac) ?? '').split(SEVERAL).slice(1)
        return [
          ...others.map((one) => `fdb del ${mac} dst ${one} self`),
          `fdb replace ${mac} dst ${text} self permanent`,
        ]
      }),
    }
  }

  /** What is there and not wanted. */
  surplus(actual: VxlanEntries): VxlanChanges {
    const { neighbours, fdb } = this.wanted
    return {
      bridge: [...actual.fdb]
        .filter(([mac]) => !fdb.has(mac))
        .flatMap(([mac, text]) => text.split(SEVERAL).map((one) => `fdb del ${mac} dst ${one} self`)),
      ip: [...actual.neighbours.keys()].filter((one) => !neighbours.has(one)).map((one) => `neigh del ${one}`),
    }
  }
}

function isSame(a: readonly VxlanNode[], b: readonly VxlanNode[]): boolean {
  return a.length === b.length && a.every((one, index) => NODE_KEYS.every((key) => one[key] === b[index]![key]))
}

/** As `bridge fdb` writes it; null: as the device. */
export function fdbText(endpoint: string, port: number | null, vni: number | null): string {
  return `${endpoint}${port === null ? '' : ` port ${port}`}${vni === null ? '' : ` vni ${vni}`}`
}

function differing(wanted: ReadonlyMap<string, string>, actual: ReadonlyMap<string, string>): [string, string][] {
  return [...wanted].filter(([key, text]) => actual.get(key) !== text)
}

export const SEVERAL = '|'
const NODE_KEYS = ['address', 'mac', 'endpoint', 'vni', 'port'] as const
