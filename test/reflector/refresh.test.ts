/** The answer to ROUTE-REFRESH for peers with RFC 7313: BoRR, the whole table, EoRR, in this order in the stream of octets. */
import t from 'tap'
import { announceBytes, withdrawBytes } from '../support/update-bytes.js'
import { attributesWith, GroupWorld, type PeerSocket } from './given.js'

const LIMITS = { logOctets: 1 << 20, windowOctets: 600 }

/** What a socket gets from now on: `begin`, `end`, `10.1.0.0/16`, `eor`. */
function tape(socket: PeerSocket): string[] {
  const heard: string[] = []
  const { receiver } = socket
  const receive = receiver.receive.bind(receiver)
  receiver.onAnnounce = (route) => heard.push(route.slice(2))
  receiver.receive = (chunk) => {
    if (chunk[18] === 5) heard.push(chunk[21] === 1 ? 'begin' : 'end')
    if (chunk.length === 23 && chunk[18] === 2) heard.push('eor')
    receive(chunk)
  }
  return heard
}

function prefixes(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `10.${n >> 8}.${n & 255}.0/24`)
}

function world(count: number): { world: GroupWorld; sender: PeerSocket; reader: PeerSocket; marks: () => number } {
  const all = new GroupWorld(LIMITS)
  const sender = all.up('sender')
  let marks = 0
  const reader = all.up('reader', {}, { refreshMarked: () => marks++ })
  const announced = prefixes(count)
  for (let at = 0; at < count; at += 300)
    all.send(sender, announceBytes(announced.slice(at, at + 300), attributesWith({ med: at })))
  return { world: all, sender, reader, marks: () => marks }
}

t.test('a member that follows: BoRR, the table, EoRR', async (t) => {
  const given = world(300)
  given.world.quiet()
  const heard = tape(given.reader)
  given.reader.member.group.refresh(given.world.memberOf(given.reader))
  given.world.quiet()
  t.same([heard[0], heard.at(-1)], ['begin', 'end'])
  t.same(heard.slice(1, -1).sort(), prefixes(300).sort())
  t.equal(given.marks(), 2)
})

t.test('an empty table: BoRR and EoRR', async (t) => {
  const given = world(0)
  given.world.quiet()
  const heard = tape(given.reader)
  given.reader.member.group.refresh(given.world.memberOf(given.reader))
  given.world.quiet()
  t.same(heard, ['begin', 'end'])
})

t.test('asked before End-of-RIB is sent: BoRR comes after that (RFC 7313 §4)', async (t) => {
  const given = world(300)
  const heard = tape(given.reader)
  given.reader.member.group.refresh(given.world.memberOf(given.reader))
  given.world.quiet()
  const eor = heard.indexOf('eor')
  t.equal(eor, 300)
  t.same([heard[eor + 1], heard.at(-1)], ['begin', 'end'])
  t.equal(heard.length, 300 + 1 + 1 + 300 + 1)
})

t.test('asked again while the answer is under way, and changes meanwhile', async (t) => {
  const given = world(3000)
  given.world.quiet()
  const heard = tape(given.reader)
  const member = given.world.memberOf(given.reader)
  given.reader.member.group.refresh(member)
  given.world.turn()
  given.reader.take(1)
  t.ok(heard.length > 1 && heard.length < 3000, `${heard.length} heard`)
  given.reader.member.group.refresh(member)
  given.world.send(given.sender, withdrawBytes([prefixes(3000)[2999]!]))
  given.world.send(given.sender, announceBytes(['192.0.2.0/24'], attributesWith()))
  given.world.quiet()
  t.equal(heard.filter((one) => one === 'begin').length, 2)
  t.same(
    heard.filter((one) => one === 'end'),
    ['end'],
    'one EoRR',
  )
  t.equal(heard.at(-1), 'end')
  const again = heard.slice(heard.lastIndexOf('begin') + 1, -1)
  t.same(new Set(again), new Set([...prefixes(2999), '192.0.2.0/24']), 'the whole table lies between the marks')
  t.equal(given.reader.receiver.routes.size, 3000)
})

t.test('a peer without RFC 7313 gets the table alone', async (t) => {
  const all = new GroupWorld(LIMITS)
  const sender = all.up('sender')
  const reader = all.up('reader')
  all.send(sender, announceBytes(['10.1.0.0/16'], attributesWith()))
  all.quiet()
  const heard = tape(reader)
  reader.member.group.refresh(all.memberOf(reader))
  all.quiet()
  t.same(heard, ['10.1.0.0/16'])
})

t.test('a change of group in the middle of the answer: EoRR only when the table is whole', async (t) => {
  const given = world(3000)
  given.world.quiet()
  const heard = tape(given.reader)
  given.reader.member.group.refresh(given.world.memberOf(given.reader))
  given.world.turn()
  given.reader.take(1)
  given.world.move(given.reader, { sendCommunities: false })
  given.world.quiet()
  t.equal(heard[0], 'begin')
  t.equal(heard.at(-1), 'end')
  t.same(new Set(heard.slice(1, -1)), new Set(prefixes(3000)))
})

t.test('thousands of requests at once: one answer', async (t) => {
  const given = world(3000)
  given.world.quiet()
  const heard = tape(given.reader)
  const member = given.world.memberOf(given.reader)
  for (let n = 0; n < 3000; n++) given.reader.member.group.refresh(member)
  t.equal(member.bits.size, 0, 'the table is marked later')
  given.world.quiet()
  t.same([heard[0], heard.at(-1)], ['begin', 'end'])
  t.equal(heard.length, 3000 + 2)
  t.equal(given.marks(), 2)
})

t.test('a peer that asks and does not read: marked again when there is room', async (t) => {
  const given = world(3000)
  given.world.quiet()
  const heard = tape(given.reader)
  const member = given.world.memberOf(given.reader)
  const { group } = given.reader.member
  given.reader.stalled = true
  group.refresh(member)
  given.world.turn()
  for (let n = 0; n < 10; n++) {
    group.refresh(member)
    given.world.turn()
  }
  t.equal(given.marks(), 1, 'one BoRR')
  t.equal(member.refreshDue, true)
  given.reader.stalled = false
  given.world.quiet()
  t.equal(given.marks(), 3, 'another one, and EoRR')
  t.equal(heard.at(-1), 'end')
  t.same(new Set(heard.slice(heard.lastIndexOf('begin') + 1, -1)), new Set(prefixes(3000)))
  t.equal(member.refreshDue, false)
})

t.test('asked, and before the answer begins moved to another group', async (t) => {
  const given = world(300)
  given.world.quiet()
  const heard = tape(given.reader)
  given.reader.member.group.refresh(given.world.memberOf(given.reader))
  given.world.move(given.reader, { sendCommunities: false })
  given.world.quiet()
  t.same([heard[0], heard.at(-1)], ['begin', 'end'])
  t.same(new Set(heard.slice(1, -1)), new Set(prefixes(300)))
})
