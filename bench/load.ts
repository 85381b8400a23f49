/**
 * One load of a reflector in this process: so many clients announce so many prefixes, everybody hears all but its own. Times it, or counts the memory that is
 * held afterwards, and checks what arrived.
 */
import { splitUpdate } from '../src/bgp/message/update.js'
import { UpdateParts } from '../src/bgp/message/update-parts.js'
import { Framer } from '../src/bgp/wire/framer.js'
import { type Client, tableOf, World } from './given.js'

export interface LoadPlan {
  /** Clients that announce; the prefixes and sets are divided among them. */
  readonly senders: number
  /** Clients that only listen. */
  readonly listeners: number
  readonly prefixes: number
  readonly sets: number
}

export interface LoadTime {
  /** From the first UPDATE in until the last one is out, without sockets. */
  readonly ms: number
  /** Processor time of the same, V8's helper threads included: what it takes where others do not matter. */
  readonly cpuMs: number
  /** Routes delivered to clients. */
  readonly delivered: number
}

/** Makes the load once. Not after a forced garbage collection: that throws compiled code away with what it was compiled for. */
export function timeLoad(plan: LoadPlan): LoadTime {
  const tables = tablesOf(plan)
  const world = emptyWorld(plan)
  const cpuBefore = process.cpuUsage()
  const fromMs = performance.now()
  deliver(world, plan, tables)
  const ms = performance.now() - fromMs
  const cpu = process.cpuUsage(cpuBefore)
  return { ms, cpuMs: (cpu.user + cpu.system) / 1000, delivered: plan.prefixes * (world.clients.length - 1) }
}

/** Octets that RIB and update groups hold after the load: JavaScript heap and arrays outside of it. Needs `node --expose-gc`. */
export async function heldAfterLoad(plan: LoadPlan): Promise<number> {
  const tables = tablesOf(plan)
  const before = await heldOctets()
  const world = emptyWorld(plan)
  deliver(world, plan, tables)
  const after = await heldOctets()
  // Both live until here, so that the difference is the world alone.
  if (tables.length !== plan.senders || world.clients.length === 0) throw new Error('unreachable')
  return after - before
}

function tablesOf({ senders, prefixes, sets }: LoadPlan): Uint8Array[][] {
  return Array.from({ length: senders }, (_, n) => {
    const firstSet = share(sets, n, senders)
    const first = share(prefixes, n, senders)
    const count = share(prefixes, n + 1, senders) - first
    return tableOf(count, Math.max(1, Math.min(count, share(sets, n + 1, senders) - firstSet)), first, firstSet)
  })
}

function emptyWorld({ senders, listeners }: LoadPlan): World {
  const world = new World()
  for (let n = 0; n < senders + listeners; n++) world.join()
  world.settle()
  return world
}

function deliver(world: World, plan: LoadPlan, tables: readonly (readonly Uint8Array[])[]): void {
  const { senders, listeners, prefixes } = plan
  const heard = new HeardCount(world.clients[world.clients.length - 1]!)
  for (let n = 0; n < senders; n++) {
    world.receive(world.clients[n]!.source, tables[n]!)
    // A turn of the event loop takes in what a few sockets had to say.
    if (n % SOCKETS_A_TURN === SOCKETS_A_TURN - 1) world.settle()
  }
  world.settle()
  const own = listeners > 0 ? 0 : prefixes - share(prefixes, senders - 1, senders)
  if (heard.routes !== prefixes - own) throw new Error(`a client heard ${heard.routes} routes of ${prefixes - own}`)
}

/** Where the part of the n-th of `count` begins. */
function share(whole: number, n: number, count: number): number {
  return Math.floor((n * whole) / count)
}

/** Octets of the heap and of arrays outside of it that are in use. */
export async function heldOctets(): Promise<number> {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('run it with node --expose-gc')
  // The arrays of dead objects go a turn later than the objects.
  for (let round = 0; round < 3; round++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Routes that one client has been told: NLRI octets are counted, so prefixes have to have one length. */
class HeardCount {
  routes = 0

  constructor({ link }: Client) {
    const framer = new Framer()
    const parts = new UpdateParts()
    link.onChunk = (chunk) =>
      framer.push(
        chunk,
        (buffer, start, end) => {
          splitUpdate(buffer, start, end, parts)
          this.routes += (parts.nlriEnd - parts.nlriStart) / NLRI_OCTETS
        },
        4096,
      )
  }
}

/** Of a /24. */
const NLRI_OCTETS = 4
const SOCKETS_A_TURN = 32
