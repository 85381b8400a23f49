import fc from 'fast-check'
import t from 'tap'
import { PathTable } from '../../src/rib/path-table.js'

const PREFIXES = 20
const SOURCES = 6

function pathsOf(table: PathTable, prefix: number): number[] {
  const found: number[] = []
  for (let path = table.firstOfPrefix[prefix]!; path !== 0; path = table.nextOfPrefix[path]!) found.push(path)
  return found
}

function pathsFrom(table: PathTable, head: number): number[] {
  const found: number[] = []
  for (let path = head, before = 0; path !== 0; before = path, path = table.nextOfSource[path]!) {
    if (table.previousOfSource[path] !== before) throw new Error(`path ${path} does not know what is before it`)
    found.push(path)
  }
  return found
}

t.test('both lists hold what a Map of (prefix, source) holds, whatever is removed', async () => {
  const step = fc.tuple(fc.integer({ min: 1, max: PREFIXES }), fc.integer({ min: 0, max: SOURCES - 1 }), fc.boolean())
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new PathTable()
      const heads = new Array<number>(SOURCES).fill(0)
      const twin = new Map<string, number>()
      let largest = 0
      for (const [prefix, source, add] of steps) {
        const key = `${prefix} ${source}`
        const path = table.find(prefix, source)
        if (path !== (twin.get(key) ?? 0)) return false
        if (add && path === 0) {
          const made = table.insert(prefix, source, heads[source]!)
          heads[source] = made
          twin.set(key, made)
        } else if (!add && path !== 0) {
          heads[source] = table.remove(path, heads[source]!)
          twin.delete(key)
        }
        largest = Math.max(largest, twin.size)
      }
      const expected = (part: number, value: number): string =>
        [...twin]
          .filter(([key]) => Number(key.split(' ')[part]) === value)
          .map(([, path]) => path)
          .sort((a, b) => a - b)
          .join()
      for (let prefix = 1; prefix <= PREFIXES; prefix++)
        if (
          pathsOf(table, prefix)
            .sort((a, b) => a - b)
            .join() !== expected(0, prefix)
        )
          return false
      for (let source = 0; source < SOURCES; source++)
        if (
          pathsFrom(table, heads[source]!)
            .sort((a, b) => a - b)
            .join() !== expected(1, source)
        )
          return false
      // Ids are reused before new ones are made.
      return table.size === twin.size && table.end === largest + 1
    }),
  )
})

t.test(
  'with identifiers a path is (prefix, source, identifier); who holds an id keeps it from being reused',
  async () => {
    const step = fc.record({
      prefix: fc.integer({ min: 1, max: 3 }),
      source: fc.nat(1),
      id: fc.constantFrom(0, 1, 0xffffffff),
      what: fc.constantFrom('add', 'remove', 'hold', 'release'),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const table = new PathTable()
        const heads = [0, 0]
        const live = new Map<string, number>()
        /** Path id → how often it is held, and the prefix that it has to go on naming. */
        const held = new Map<number, { count: number; readonly prefix: number; readonly key: string }>()
        for (const { prefix, source, id, what } of steps) {
          const key = `${prefix} ${source} ${id}`
          const path = table.find(prefix, source, id)
          if (path !== (live.get(key) ?? 0)) return false
          if (path !== 0 && table.receivedIdOf(path) !== id) return false
          if (what === 'add' && path === 0) {
            const made = table.insert(prefix, source, heads[source]!, id)
            // Its own id again while somebody holds it, never that of another path.
            const [before] = [...held].find(([, one]) => one.key === key) ?? [made]
            if (made !== before || (held.has(made) && held.get(made)!.key !== key)) return false
            heads[source] = made
            live.set(key, made)
          } else if (what === 'remove' && path !== 0) {
            heads[source] = table.remove(path, heads[source]!)
            live.delete(key)
          } else if (what === 'hold' && path !== 0) {
            table.retain(path)
            held.set(path, { count: (held.get(path)?.count ?? 0) + 1, prefix, key })
          } else if (what === 'release') {
            const [known] = held
            if (known === undefined) continue
            table.release(known[0])
            if (--known[1].count === 0) held.delete(known[0])
          }
          for (const [id, { prefix }] of held) if (table.prefix[id] !== prefix) return false
          for (let prefix = 1; prefix <= 3; prefix++)
            for (let source = 0; source < 2; source++)
              if (
                table.countOf(prefix, source) !==
                [...live.keys()].filter((key) => key.startsWith(`${prefix} ${source} `)).length
              )
                return false
        }
        return table.size === live.size && table.end <= live.size + held.size + 1 + steps.length
      }),
    )
    const table = new PathTable()
    const path = table.insert(1, 0, 0)
    table.retain(path)
    table.retain(path)
    table.remove(path, path)
    table.release(path)
    if (table.insert(2, 0, 0) === path) throw new Error('held once more')
    table.release(path)
    if (table.insert(3, 0, 0) !== path) throw new Error('free again')
  },
)

t.test('grows with all its columns', async (t) => {
  const table = new PathTable()
  table.reservePrefixes(10_000)
  let head = 0
  for (let n = 1; n <= 5000; n++) {
    head = table.insert(n, 3, head)
    table.weight[head] = n
    table.state[head] = n & 7
    table.received[head] = n
    table.effective[head] = n
    table.stampSeconds[head] = n
  }
  t.equal(table.size, 5000)
  const wrong = Array.from({ length: 5000 }, (_, at) => at + 1).filter((n) => {
    const path = table.find(n, 3)
    return (
      table.weight[path] !== n ||
      table.state[path] !== (n & 7) ||
      table.received[path] !== n ||
      table.effective[path] !== n ||
      table.stampSeconds[path] !== n ||
      table.prefix[path] !== n
    )
  })
  t.same(wrong, [])
  t.equal(pathsFrom(table, head).length, 5000)
})

t.test('the columns by prefix keep their values when they grow', async (t) => {
  const table = new PathTable()
  table.best[7] = 70
  table.bestReason[7] = 5
  table.reservePrefixes(1_000_000)
  t.same([table.best[7], table.bestReason[7], table.firstOfPrefix[999_999]], [70, 5, 0])
})

t.test(
  'paths that are gone and named to somebody: a live one never has the id of another, and the same path gets its own back',
  async () => {
    const kinds = ['add', 'remove', 'hold', 'release'] as const
    const step = fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 0, max: 7 }), fc.constantFrom(...kinds))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const table = new PathTable()
        let head = 0
        const live = new Map<string, number>()
        /** Holds by id, and what the id is for. */
        const held = new Map<number, { key: string; count: number }>()
        for (const [prefix, receivedId, kind] of steps) {
          const key = `${prefix} ${receivedId}`
          const path = live.get(key)
          if (kind === 'add' && path === undefined) {
            const own = [...held].find(([, one]) => one.key === key)?.[0]
            head = table.insert(prefix, 1, head, receivedId)
            if (own !== undefined ? head !== own : held.has(head)) return false
            live.set(key, head)
          } else if (kind === 'remove' && path !== undefined) {
            head = table.remove(path, head)
            live.delete(key)
          } else if (kind === 'hold' && path !== undefined) {
            table.retain(path)
            held.set(path, { key, count: (held.get(path)?.count ?? 0) + 1 })
          } else if (kind === 'release') {
            const found = [...held].find(([, one]) => one.key === key)
            if (found === undefined) continue
            table.release(found[0])
            if (--found[1].count === 0) held.delete(found[0])
          }
          const gone = [...held].filter(([, one]) => !live.has(one.key)).length
          if (table.size !== live.size || table.goneCount !== gone) return false
        }
        return table.end <= 17
      }),
      { numRuns: 500 },
    )
  },
)

t.test('thousands of paths of one prefix that are gone and named to somebody', async (t) => {
  const table = new PathTable()
  const ids: number[] = []
  for (let n = 1; n <= 200_000; n++) {
    const path = table.insert(1, 1, 0, n)
    table.retain(path)
    table.remove(path, path)
    ids.push(path)
  }
  t.equal(table.goneCount, 200_000)
  t.equal(table.insert(1, 1, 0, 200_000), ids.at(-1), 'the last ones get their record back')
  table.remove(ids.at(-1)!, ids.at(-1)!)
  for (const path of ids) table.release(path)
  t.same([table.size, table.goneCount], [0, 0])
  t.ok(table.insert(2, 1, 0, 1) <= 200_000, 'ids are free again')
})
