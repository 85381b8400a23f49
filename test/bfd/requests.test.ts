import t from 'tap'
import { Requests } from '../../src/bfd/requests.js'

t.test('requests are served in order, a few milliseconds at a time', async (t) => {
  const served: number[] = []
  const turns: (() => void)[] = []
  let nowMs = 0
  const requests = new Requests<number>({
    serve: (request) => {
      served.push(request)
      nowMs += 2
      if (request === 4) requests.push(5)
    },
    nowMs: () => nowMs,
    later: (call) => void turns.push(call),
  })
  /** How many were served in one turn. */
  const turn = (): number => {
    const before = served.length
    turns.shift()?.()
    return served.length - before
  }
  for (let n = 0; n < 5; n++) requests.push(n)
  t.equal(served.length, 0, 'not before packets have been looked at')
  t.same([turn(), turn(), turn()], [3, 3, 0])
  t.same(served, [0, 1, 2, 3, 4, 5], 'what is asked meanwhile comes behind the others')
  t.equal(turns.length, 0)
  requests.push(6)
  t.same([turn(), turns.length], [1, 0])
})
