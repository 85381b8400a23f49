/**
 * The memory account: peers, attribute sets and routes are loaded one kind after the other, and what each kind holds is counted. Run by account.test.ts with
 * `node --expose-gc`; prints one line of JSON.
 */
import { blockNumber, type Client, updateOf, World } from '../../bench/given.js'
import { heldOctets } from '../../bench/load.js'
import { Family } from '../../src/net/family.js'

export const PEERS = 200
/** Peers are counted in a world of their own, so many that compiled code and caches vanish beside them. */
export const COUNTED_PEERS = 5000
export const SETS = 10_000
export const ROUTES = 100_000

/** What is held at one point. */
export interface Snapshot {
  /** Octets of the JavaScript heap in use. */
  readonly heap: number
  /** Octets of all arrays outside of it. */
  readonly arrays: number
  /** Octets of the arrays by owner, as they count themselves. */
  readonly counted: Counted
}
export interface Counted {
  readonly paths: number
  readonly prefixes: number
  readonly dirty: number
  readonly attributes: number
  readonly nextHops: number
  readonly groups: number
}
export interface Account {
  readonly crowd: { readonly before: Snapshot; readonly after: Snapshot }
  readonly empty: Snapshot
  readonly withPeers: Snapshot
  readonly withSets: Snapshot
  readonly withRoutes: Snapshot
  /** To be sure that the load was what it says. */
  readonly loaded: {
    readonly routes: number
    readonly sets: number
    readonly groups: number
    readonly logOctets: number
  }
}

/** All worlds stay alive: one that dies would take its arrays with it at a time of the collector's choice, between two counts. */
const worlds: World[] = []

function newWorld(): World {
  const world = new World()
  worlds.push(world)
  return world
}

async function makeAccount(): Promise<Account> {
  // Compiled code and caches are there before the first count.
  loadSets(withClients(newWorld(), 20))
  const crowd = await countPeers()
  const world = newWorld()
  const empty = await snapshot(world)
  withClients(world, PEERS)
  const withPeers = await snapshot(world)
  loadSets(world)
  const withSets = await snapshot(world)
  loadRoutes(world)
  const withRoutes = await snapshot(world)
  const groups = [...world.reflector.groups()]
  return {
    crowd,
    empty,
    withPeers,
    withSets,
    withRoutes,
    loaded: {
      routes: world.rib.tables[Family.IPV4_UNICAST]!.paths.size,
      sets: world.rib.store.size,
      groups: groups.length,
      logOctets: groups.reduce((octets, { log }) => octets + log.octets, 0),
    },
  }
}

async function countPeers(): Promise<Account['crowd']> {
  const world = newWorld()
  const before = await snapshot(world)
  withClients(world, COUNTED_PEERS)
  return { before, after: await snapshot(world) }
}

function withClients(world: World, count: number): World {
  for (let n = 0; n < count; n++) world.join()
  world.settle()
  return world
}

/** One route for each set. */
function loadSets(world: World): void {
  for (let set = 0; set < SETS; set++)
    world.receive(clientOf(world, set).source, [updateOf(blockNumber(set), set, set + 1)])
  world.settle()
}

/** Further routes with the same sets. */
function loadRoutes(world: World): void {
  const more = ROUTES / SETS - 1
  for (let set = 0; set < SETS; set++) {
    const first = SETS + set * more
    world.receive(clientOf(world, set).source, [updateOf(blockNumber(set), first, first + more)])
  }
  world.settle()
}

function clientOf(world: World, set: number): Client {
  return world.clients[set % world.clients.length]!
}

async function snapshot({ rib, reflector }: World): Promise<Snapshot> {
  await heldOctets()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  const sum = (octets: readonly number[]): number => octets.reduce((a, b) => a + b, 0)
  return {
    heap: heapUsed,
    arrays: arrayBuffers,
    counted: {
      paths: sum(rib.tables.map(({ paths }) => paths.arrayOctets)),
      prefixes: sum(rib.tables.map(({ prefixes }) => prefixes.arrayOctets)),
      dirty: sum(rib.tables.map(({ dirty }) => dirty.arrayOctets)),
      attributes: rib.store.arrayOctets,
      nextHops: rib.nextHops.arrayOctets,
      groups: sum([...reflector.groups()].map((group) => group.arrayOctets)),
    },
  }
}

if (process.argv[2] === 'account') process.stdout.write(`${JSON.stringify(await makeAccount())}\n`)
