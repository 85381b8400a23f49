/**
 * The corpus against the whole daemon over TCP, each fixture from a neighbour of its own; two well-behaved neighbours are watched, one of them is told what
 * is left of it. Each ends as the fixture says, nothing stale stays in the tables, and nobody else notices.
 */
import t from 'tap'
import type { PathView } from '../../src/api/types.js'
import { Receiver } from '../support/update-bytes.js'
import { Client, GOOD, KEEPALIVE, nlri, update } from './client.js'
import { runningDaemon } from './daemon.js'
import { difference, type Fixture, fixtures, hexOf, type Outcome, point, stateWordOf } from './fixtures.js'
import { announcement, EXTERNAL_ASN, OUR_ASN, openFor, PROBE, ROUTE } from './peers.js'

const FRIENDS_ROUTE = '10.1.0.0/24'
const BOTH = '010400010001' + '010400020001' + '0200' + '41040000fc00'
const FAMILIES = ['ipv4-unicast', 'ipv6-unicast']

t.setTimeout(120_000)

t.test('what broke other speakers', async (t) => {
  const common = { families: FAMILIES, passive: true }
  const internal = { ...common, asn: OUR_ASN, reflectorClient: true }
  const daemon = await runningDaemon(t, {
    reflector: { clusterId: '10.0.0.1' },
    neighbors: [
      { ...internal, name: 'clients', range: '127.66.0.0/16' },
      {
        ...common,
        name: 'external',
        range: '127.67.0.0/16',
        asn: EXTERNAL_ASN,
        import: 'accept-all',
        export: 'accept-all',
      },
      { ...internal, name: 'several', range: '127.68.0.0/16', addPath: { receive: true } },
    ],
  })
  const friend = await new Client(daemon.port, '127.66.0.2').establish({ capabilities: BOTH })
  const downstream = await new Client(daemon.port, '127.66.0.3').establish({ capabilities: BOTH })
  const receiver = new Receiver()
  downstream.keeps = false
  receiver.receive(downstream.received)
  downstream.onData = (chunk) => receiver.receive(chunk)
  t.teardown(() => {
    friend.end()
    downstream.end()
  })
  friend.send(update('', GOOD, nlri(FRIENDS_ROUTE)))
  await downstream.until('has the route of the friend', () => heard().join() === FRIENDS_ROUTE)

  for (const [number, fixture] of fixtures.entries()) {
    const client = new Client(daemon.port, addressFor(fixture, number))
    t.teardown(() => client.end())
    await client.connected()
    point(t, fixture, 'daemon', difference(fixture, await outcomeOf(fixture, client)))
    if (fixture.send === 'open' && client.notification() !== '') {
      const lines = (): number =>
        daemon.log.split('\n').filter((line) => line.includes(`"${client.address}"`) && line.includes('"level":40'))
          .length
      await daemon.until(`says why it refused ${fixture.id}`, lines)
      t.equal(lines(), 1, `${fixture.id}: one line in the log says why`)
    }
    if (fixture.ignored !== undefined) {
      const found = (await daemon.neighbors()).find(({ address }) => address === client.address)
      t.equal(found?.errors?.familiesIgnored, 1, `${fixture.id}: the family that was left out is counted`)
    }
    client.end()
    await downstream.until(
      `has only the route of the friend after ${fixture.id}`,
      () => heard().join() === FRIENDS_ROUTE,
    )
    await others(fixture.id)
  }
  t.equal(receiver.endOfRib[0], 1, 'the neighbour downstream was never told the table again')
  t.notMatch(daemon.log, /bug:|Error:|undefined|\[object/, 'no line of the log shows a fault of the program')

  async function outcomeOf(fixture: Fixture, client: Client): Promise<Outcome> {
    if (fixture.send === 'established') {
      client.send(openFor(fixture, client.address), KEEPALIVE)
      await client.until('is Established', () => client.messages().some(({ type }) => type === 4) || client.isClosed)
      client.send(announcement(fixture, ROUTE))
      await downstream.until(`hears the route before ${fixture.id}`, () => heard().includes(ROUTE))
      client.send(hexOf(fixture))
    } else {
      client.send(hexOf(fixture), KEEPALIVE, announcement(fixture, ROUTE))
    }
    client.send(announcement(fixture, PROBE))
    const look = setInterval(() => client.socket.emit('data', Buffer.alloc(0)), 5)
    await client.until('is closed, or heard by others', () => client.isClosed || heard().includes(PROBE))
    clearInterval(look)
    if (client.isClosed) return { session: sessionText(client), rib: {}, downstream: [] }
    const rows = await daemon.get<(PathView & { pathId?: number })[]>(`/v1/adj-in/${client.address}`)
    const rib: Record<string, string> = {}
    for (const row of rows)
      if (row.prefix !== PROBE) rib[row.prefix + (row.pathId ? ` ${row.pathId}` : '')] = stateWordOf(row)
    return {
      session: 'kept',
      rib,
      downstream: heard().filter((prefix) => prefix !== PROBE && prefix !== FRIENDS_ROUTE),
    }
  }

  async function others(after: string): Promise<void> {
    const watched = (await daemon.neighbors()).filter(({ address }) => /^127\.66\.0\.[23]$/.test(address))
    const { families, attributeSets } = await daemon.summary()
    const tables = families.map(({ prefixes, paths }) => [prefixes, paths])
    t.same(
      [watched.map(({ state, establishedCount }) => [state, establishedCount]), tables, attributeSets],
      [
        Array(2).fill(['Established', 1]),
        [
          [1, 1],
          [0, 0],
        ],
        1,
      ],
      `${after}: the others are up, and the tables hold only what they announced`,
    )
  }

  function heard(): string[] {
    return [...receiver.routes.keys()].map((route) => route.slice(2)).sort()
  }
})

function addressFor({ peer, options }: Fixture, number: number): string {
  const range = options?.addpath !== undefined ? 68 : peer === 'external' ? 67 : 66
  return `127.${range}.${1 + (number >> 7)}.${1 + (number & 127)}`
}

function sessionText(client: Client): string {
  const body = client.notification()
  if (body === '') return 'closed'
  const data = body.slice(4)
  return `${Number.parseInt(body.slice(0, 2), 16)}/${Number.parseInt(body.slice(2, 4), 16)}${data === '' ? '' : ` ${data}`}`
}
