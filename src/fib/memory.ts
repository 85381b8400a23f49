/**
 * A routing table in memory with the rules of a kernel's: for machines without privileges, and for tests. Foreign routes can be put in, to see
 * conflicts; what was left in a table by one FIB is adopted by the next.
 */
import { DONE, EXISTS, type FibDriver, type FibOperation, type FibOutcome, type FibTrigger } from './driver.js'
import type { KernelRoute } from './types.js'

export class MemoryTable {
  readonly #routes = new Map<string, KernelRoute[]>()
  onChange: () => void = () => {}

  /** All routes, ours and foreign. */
  routes(): readonly KernelRoute[] {
    return [...this.#routes.values()].flat()
  }

  /** Puts a route in from outside, as an operator would by hand. */
  put(route: KernelRoute): void {
    this.#at(route.prefix).push(route)
    this.onChange()
  }

  /** Takes routes out from outside. */
  take(prefix: string, protocol: number): void {
    this.#keep(prefix, (route) => route.protocol !== protocol)
    this.onChange()
  }

  apply(operation: FibOperation, table: number, protocol: number): FibOutcome {
    const { to, route, type } = operation
    const { prefix } = to
    if (type === 'delete') {
      const owner = operation.protocol ?? protocol
      this.#keep(prefix, (one) => one.protocol !== owner || one.metric !== route.metric)
      return DONE
    }
    const same = this.#at(prefix).findIndex((one) => one.metric === route.metric && one.table === table)
    if (type === 'add' && same >= 0) return EXISTS
    const list = this.#at(prefix)
    const written: KernelRoute = { ...route, prefix, protocol, table }
    if (same >= 0) list[same] = written
    else list.push(written)
    return DONE
  }

  #at(prefix: string): KernelRoute[] {
    let list = this.#routes.get(prefix)
    if (list === undefined) {
      list = []
      this.#routes.set(prefix, list)
    }
    return list
  }

  #keep(prefix: string, test: (route: KernelRoute) => boolean): void {
    const rest = (this.#routes.get(prefix) ?? []).filter(test)
    if (rest.length === 0) this.#routes.delete(prefix)
    else this.#routes.set(prefix, rest)
  }
}

export class MemoryDriver implements FibDriver {
  readonly #memory: MemoryTable
  readonly #table: number
  readonly #protocol: number

  constructor(memory: MemoryTable, table: number, protocol: number) {
    this.#memory = memory
    this.#table = table
    this.#protocol = protocol
  }

  async open(onTrigger: (trigger: FibTrigger) => void): Promise<void> {
    this.#memory.onChange = () => onTrigger('event')
  }

  async dump(take: (route: KernelRoute) => void): Promise<void> {
    for (const route of this.#memory.routes()) take(route)
  }

  async apply(operations: readonly FibOperation[]): Promise<readonly FibOutcome[]> {
    return operations.map((operation) => this.#memory.apply(operation, this.#table, this.#protocol))
  }

  async close(): Promise<void> {
    this.#memory.onChange = () => {}
  }
}
