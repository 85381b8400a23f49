import t from 'tap'
import { column, grown, onLargeColumn } from '../../src/rib/columns.js'
import { copyOctets } from '../../src/rib/copy-octets.js'

t.test('a column grows to four times its length, or as asked, and keeps its kind and content', async (t) => {
  for (const old of [Int32Array.of(1, -2, 3), Uint16Array.of(1, 65535, 3), Uint8Array.of(1, 255, 3)]) {
    const bigger = grown(old, 0)
    t.equal(bigger.constructor, old.constructor)
    t.same([...bigger], [...old, ...new Array<number>(9).fill(0)])
    t.equal(grown(old, 100).length, 100)
    t.equal(grown(old, 0, 2).length, 6)
  }
})

t.test('large columns are told of before anything is written to them', async (t) => {
  const told: number[] = []
  onLargeColumn((made) => {
    t.equal(made[0], 0)
    told.push(made.byteLength)
  })
  t.teardown(() => onLargeColumn(() => {}))
  column(1000)
  grown(new Uint8Array(1000), 0)
  t.same(told, [])
  column(1 << 20)
  t.equal(grown(new Int32Array(1 << 18).fill(7), 0)[0], 7)
  t.same(told, [4 << 20, 4 << 20])
})

t.test('copyOctets copies what a plain loop copies, and nothing beside it', async (t) => {
  const source = Uint8Array.from({ length: 300 }, (_, n) => 1 + (n % 255))
  let wrong = 0
  for (let length = 0; length <= 200; length++) {
    for (let from = 0; from < 9; from++) {
      const target = new Uint8Array(220)
      copyOctets(source, from, length, target, 5)
      for (let i = 0; i < target.length; i++)
        if (target[i] !== (i >= 5 && i < 5 + length ? source[from + i - 5] : 0)) wrong++
    }
  }
  t.equal(wrong, 0)
})
