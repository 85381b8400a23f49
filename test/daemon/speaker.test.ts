/** Speakers over real sockets: mesh, reflection, commands, views. */
import { connect } from 'node:net'
import t from 'tap'
import { until } from '../support/wait.js'
import { Given, type Node, neighbor, PORT } from './given.js'

const A = '127.0.7.1'
const B = '127.0.7.2'
const C = '127.0.7.3'

function originate(...routes: string[]): string {
  return `originate:\n${routes.map((route) => `  - { ${route} }`).join('\n')}`
}

t.test(
  'a mesh of three: own routes with their attributes, changed by command, gone with their neighbour',
  async (t) => {
    const given = new Given()
    t.teardown(() => given.stop())
    const mesh = (from: string): string =>
      [
        'neighbors:',
        ...[A, B, C].filter((other) => other !== from).map((other) => neighbor(from, `n${other.at(-1)}`, other)),
      ].join('\n')
    const own = (n: number): string =>
      originate(
        `prefix: 10.${n}.0.0/16, nextHop: 10.99.0.${n}, med: ${n}, localPref: 20${n}, communities: ['64512:${n}']`,
      )
    const a = await given.node(A, `${own(1)}\n${mesh(A)}`)
    t.match(await a.ask('/readyz'), { status: 503, value: { ready: false, reasons: ['no neighbor is Established'] } })
    const b = await given.node(B, `${own(2)}\n${mesh(B)}`)
    const c = await given.node(C, `${own(3)}\n${mesh(C)}`)
    for (const node of [a, b, c]) await node.winners('10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16')
    const [learned] = await b.rib('prefix=10.1.0.0/16')
    t.match(learned, {
      from: 'n1',
      nextHop: '10.99.0.1',
      med: 1,
      localPref: 201,
      communities: ['64512:1'],
      best: true,
      valid: true,
      weight: 0,
      asPath: '',
    })
    t.match(await b.rib('prefix=10.2.0.0/16'), [
      { from: 'local', weight: 32768, reason: 'only usable path', fromAddress: null },
    ])
    t.match(await a.ask('/readyz'), { status: 200 })
    t.same(
      (await b.adjIn('n1')).map(({ prefix }) => prefix),
      ['10.1.0.0/16'],
    )
    await b.loaded('n3')
    t.match(await b.adjOut('n3'), [{ prefix: '10.2.0.0/16', from: 'local', nextHop: '10.99.0.2' }])
    const fib = await until('the FIB of b', b.fib, (rows) => rows.length === 2)
    t.same(fib.map(({ prefix }) => prefix).sort(), ['10.1.0.0/16', '10.3.0.0/16'])
    const summary = await b.summary()
    t.same(
      summary.peers.map(({ state, prefixesReceived, prefixesAccepted, prefixesSent }) => [
        state,
        prefixesReceived,
        prefixesAccepted,
        prefixesSent,
      ]),
      [
        ['Established', 1, 1, 1],
        ['Established', 1, 1, 1],
      ],
    )

    t.match(await a.post('/v1/announce', { prefix: '10.50.0.0/16', nextHop: '10.99.0.50' }), { status: 200 })
    await c.winners('10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16', '10.50.0.0/16')
    t.match(await a.post('/v1/withdraw', { prefix: '10.50.0.0/16' }), { status: 200 })
    await c.winners('10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16')
    t.match(await a.post('/v1/withdraw', { prefix: '10.50.0.0/16' }), { status: 404 })
    t.match(await a.post('/v1/withdraw', { prefix: '10.1.0.0/16' }), { status: 409 })

    t.match(await a.post('/v1/neighbor/n2/down', { text: 'for a test' }), { status: 200 })
    await b.winners('10.2.0.0/16', '10.3.0.0/16')
    t.match(
      (
        await until(
          'why it is down',
          () => b.neighbor('n1'),
          ({ state }) => state !== 'Established',
        )
      ).lastReason,
      /for a test/,
    )
    t.match(await a.neighbor('n2'), { stateText: 'Idle(Admin)' })
    t.match(await a.ask('/v1/adj-in/n2'), { status: 409 })
    t.match(await a.post('/v1/neighbor/n2/up'), { status: 200 })
    await b.winners('10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16')

    const before = (await b.neighbor('n1')).establishedCount
    t.match(await a.post('/v1/neighbor/n2/clear'), { status: 200 })
    await until(
      'a new session',
      () => b.neighbor('n1'),
      ({ establishedCount }) => establishedCount === before + 1,
    )
    await b.winners('10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16')

    await a.loaded('n3')
    const heard = (await a.neighbor('n3')).messages.received['update']!
    t.match(await a.post('/v1/neighbor/n3/refresh'), { status: 200 })
    await until(
      'the routes again',
      () => a.neighbor('n3'),
      ({ messages }) => messages.received['update']! > heard,
    )
    for (const path of ['up', 'clear', 'refresh']) t.match(await a.post(`/v1/neighbor/nobody/${path}`), { status: 404 })
    t.match(await a.ask('/v1/rib?from=nobody'), { status: 404 })

    await c.stop()
    await a.winners('10.1.0.0/16', '10.2.0.0/16')
    await t.rejects(c.summary(), 'the API is gone')
    await t.rejects(dial(C), 'and the port is closed')
  },
)

function dial(address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(PORT, address, () => {
      socket.destroy()
      resolve()
    })
    socket.on('error', reject)
  })
}

t.test('a reflector: clients hear each other through it; a client less reads as such', async (t) => {
  const given = new Given()
  t.teardown(() => given.stop())
  const clients = (more: string): string =>
    ['neighbors:', neighbor(B, 'a', A, more), neighbor(B, 'c', C, 'reflectorClient: true')].join('\n')
  const reflector = await given.node(B, `reflector: { clusterId: ${B} }\n${clients('reflectorClient: true')}`)
  const a = await given.node(
    A,
    `${originate('prefix: 10.1.0.0/16, nextHop: 10.99.0.1')}\nneighbors:\n${neighbor(A, 'rr', B)}`,
  )
  const c = await given.node(
    C,
    `${originate('prefix: 10.3.0.0/16, nextHop: 10.99.0.3')}\nneighbors:\n${neighbor(C, 'rr', B)}`,
  )
  await a.winners('10.1.0.0/16', '10.3.0.0/16')
  await c.winners('10.1.0.0/16', '10.3.0.0/16')
  t.match(await c.rib('prefix=10.1.0.0/16'), [{ from: 'rr', originatorId: A, clusterList: [B], nextHop: '10.99.0.1' }])
  t.match(await reflector.groups(), [{ members: [/^[ac]$/, /^[ac]$/], behind: 0, prefixes: 2 }])
  const explained = await reflector.explain('10.1.0.0/16')
  t.match(explained, {
    known: true,
    decision: /only usable path/,
    sentTo: [{ peer: 'c' }],
    notSentTo: [{ peer: 'a', reason: 'the winner is its own route' }],
    missing: [],
  })

  t.match(await reflector.reload(clients('reflectorClient: true')), { status: 409 }, 'clients need a reflector')
  t.match(await reflector.reload(`reflector: { clusterId: 9.9.9.9 }\n${clients('reflectorClient: true')}`), {
    status: 200,
  })
  await until(
    'the new cluster id',
    () => c.rib('prefix=10.1.0.0/16'),
    ([row]) => row?.clusterList.join() === '9.9.9.9',
  )
  await a.winners('10.1.0.0/16', '10.3.0.0/16')
  t.same(
    (await a.neighbor('rr')).history.filter(({ from }) => from === 'Established'),
    [],
    'all of it on the same sessions',
  )
})

t.test('reload: policies over live routes, neighbours that come and go, bad files', async (t) => {
  const given = new Given()
  t.teardown(() => given.stop())
  const routes = originate(...[1, 2, 3].map((n) => `prefix: 10.${n}.0.0/16, nextHop: 10.99.0.${n}`))
  const policies = (accepted: string): string =>
    `policies:\n  some: [{ match: { prefix: [${accepted}] }, action: accept }, { action: reject }]\n  all: [{ action: accept }]`
  const sender = (policy: string, accepted = '10.1.0.0/16'): string =>
    `${routes}\n${policies(accepted)}\nneighbors:\n${neighbor(A, 'b', B, policy)}`
  const a = await given.node(A, sender('export: all'))
  const receiver = (policy: string, accepted = '10.1.0.0/16'): string =>
    `${policies(accepted)}\nneighbors:\n${neighbor(B, 'a', A, policy)}`
  const b = await given.node(B, receiver(''))
  await b.winners('10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16')

  t.match(await b.reload(receiver('import: some')), { status: 200, value: { ok: true, applied: true } })
  await b.winners('10.1.0.0/16')
  t.match(await b.explain('10.2.0.0/16'), {
    decision: 'no path is usable',
    policy: [{ policy: 'some', verdict: 'rejected by the import policy' }],
    missing: ['no path is usable; each path says why'],
    notSentTo: [{ reason: 'no usable path' }],
  })
  t.match(await b.neighbor('a'), { prefixesReceived: 3, prefixesAccepted: 1 })
  t.match(await b.reload(receiver('import: some', '10.2.0.0/16')), { status: 200 })
  await b.winners('10.2.0.0/16')
  t.match(await b.reload(receiver('')), { status: 200 })
  await b.winners('10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16')
  const fib = await until('the FIB follows', b.fib, (rows) => rows.length === 3)
  t.ok(fib.every(({ state }) => state === 'installed'))

  t.match(await a.reload(sender('export: some')), { status: 200 })
  await b.winners('10.1.0.0/16')
  t.match(await a.explain('10.3.0.0/16'), {
    notSentTo: [{ peer: 'b', reason: /policy some, statement 2 \(reject\)/ }],
    missing: ['nobody hears it: no Established neighbor takes it'],
  })
  t.match(await a.groups(), [{ members: ['b'], prefixes: 1 }])
  t.match(await a.reload(sender('export: all')), { status: 200 })
  await b.winners('10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16')
  t.same(
    (await b.neighbor('a')).history.filter(({ from }) => from === 'Established'),
    [],
    'all of it on one session',
  )

  t.match(await a.reload(`${routes}\nneighbors: 7`), { status: 409, value: { ok: false } })
  t.match(await a.reload(`asn: 64999\n${sender('export: all')}`), {
    status: 409,
    value: { problems: [{ path: 'asn', message: /restart/ }] },
  })
  a.write(sender('', '10.3.0.0/16'))
  t.match(await a.post('/v1/reload?dryRun=true'), {
    status: 200,
    value: { applied: false, diff: { neighborsChanged: [{ name: 'b' }] } },
  })
  t.match(await a.neighbor('b'), { state: 'Established', exportPolicy: 'all' })

  t.match(await a.reload(routes), { status: 200, value: { diff: { neighborsRemoved: ['b'] } } })
  await b.winners()
  t.same((await a.summary()).peers, [])
  t.same(await a.groups(), [])
  t.match(await a.reload(sender('')), { status: 200, value: { diff: { neighborsAdded: ['b'] } } })
  await b.winners('10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16')
})

t.test('maxPrefix ends the session with Cease 6/1', async (t) => {
  const given = new Given()
  t.teardown(() => given.stop())
  const a = await given.node(
    A,
    `${originate(...[1, 2, 3].map((n) => `prefix: 10.${n}.0.0/16, nextHop: 10.99.0.${n}`))}\nneighbors:\n${neighbor(A, 'b', B)}`,
  )
  const b = await given.node(B, `neighbors:\n${neighbor(B, 'a', A, 'maxPrefix: 2')}`)
  await until(
    'the session ended',
    () => b.neighbor('a'),
    ({ droppedCount, state }) => droppedCount > 0 && state !== 'Established',
  )
  t.match((await b.neighbor('a')).lastReason, /maxPrefix 2/)
  t.match(await a.neighbor('b'), { lastReason: /6\/1|[Mm]aximum number of prefixes/ })
  await b.winners()
})

t.test('external peers: nothing without policies (RFC 8212), then what the policies say', async (t) => {
  const given = new Given()
  t.teardown(() => given.stop())
  const policies = 'policies:\n  all: [{ action: accept }]'
  const external = (from: string, name: string, to: string, asn: number, more: string): string =>
    neighbor(from, name, to, more).replace('asn: 64512', `asn: ${asn}`)
  const fileA = (more: string): string =>
    `${originate('prefix: 10.1.0.0/16, nextHop: 10.99.0.1')}\n${policies}\nneighbors:\n${external(A, 'b', B, 64513, more)}`
  const fileB = (more: string): string => `asn: 64513\n${policies}\nneighbors:\n${external(B, 'a', A, 64512, more)}`
  const a = await given.node(A, fileA('nextHopKeep: false'))
  const b = await given.node(B, fileB('nextHopKeep: false'))
  await a.loaded('b')
  t.match(await a.neighbor('b'), { type: 'ebgp', stateText: 'Established(Policy)', notes: [/import/, /export/] })
  t.match(await a.explain('10.1.0.0/16'), { notSentTo: [{ reason: /RFC 8212/ }] })
  t.match(await a.reload(fileA('nextHopKeep: false, export: all')), { status: 200 })
  await until(
    'received, not used',
    () => b.adjIn('a'),
    (rows) => rows.length === 1 && rows[0]!.reason.includes('RFC 8212') && !rows[0]!.valid,
  )
  t.match(await b.explain('10.1.0.0/16'), { policy: [{ policy: null, verdict: /RFC 8212/ }] })
  t.match(await b.reload(fileB('nextHopKeep: false, import: all')), { status: 200 })
  const [row] = await b.winners('10.1.0.0/16')
  t.match(row, { asPath: '64512', localPref: null, nextHop: '10.99.0.1' })
})

t.test('explain: unknown, covered, by address, own and blackhole', async (t) => {
  const given = new Given()
  t.teardown(() => given.stop())
  const a: Node = await given.node(
    A,
    `${originate('prefix: 10.1.0.0/16, blackhole: true')}\nneighbors:\n${neighbor(A, 'b', B, 'passive: true')}`,
  )
  await until('the blackhole', a.fib, (rows) => rows.length === 1)
  t.match(await a.fib(), [{ prefix: '10.1.0.0/16', kind: 'blackhole', state: 'installed' }])
  t.match(await a.explain('10.9.0.0/16'), { known: false, coveredBy: null, missing: [/no path/] })
  t.match(await a.explain('10.1.2.0/24'), {
    known: false,
    coveredBy: '10.1.0.0/16',
    missing: [/traffic follows 10.1.0.0\/16/],
  })
  t.match(await a.explain('10.1.2.3'), { known: true, prefix: '10.1.0.0/16', coveredBy: '10.1.0.0/16' })
  t.match(await a.explain('10.1.0.0/16'), {
    known: true,
    coveredBy: null,
    decision: /only usable path/,
    policy: [{ peer: 'local' }],
    missing: [/nobody hears it/],
    fib: { kind: 'blackhole' },
  })
  t.match(await a.explain('2001:db8::/32'), { known: false })
  t.match(await a.ask('/v1/explain?prefix=nonsense'), { status: 400 })
})

t.test('stop leaves nothing open, and may be asked for while a session comes up', async (t) => {
  const open = (): string[] =>
    process.getActiveResourcesInfo().filter((name) => /^(TCP|Pipe)/.test(name) && name !== 'PipeWrap')
  for (const wait of [true, false]) {
    const given = new Given()
    const a = await given.node(
      A,
      `${originate('prefix: 10.1.0.0/16, nextHop: 10.99.0.1')}\nneighbors:\n${neighbor(A, 'b', B)}`,
    )
    await given.node(B, `neighbors:\n${neighbor(B, 'a', A)}`)
    if (wait) await a.loaded('b')
    await given.stop()
    await until('all is closed', open, (names) => names.length === 0)
    await t.rejects(dial(A))
    await t.rejects(a.summary())
  }
})
