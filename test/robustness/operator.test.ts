/** Operators and their mistakes against the whole daemon: what is wrong is said in one line, and what runs goes on. */
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { Client, GOOD, nlri, update } from './client.js'
import { makeDaemon, nodebgp, runningDaemon } from './daemon.js'

const RANGE = { name: 'clients', range: '127.66.0.0/16', asn: 64512, passive: true }

t.setTimeout(120_000)

t.test('what cannot start says why in its last line', async (t) => {
  const fails = async (name: string, config: Record<string, unknown>, reason: RegExp): Promise<void> => {
    const daemon = await makeDaemon(t, config)
    daemon.start()
    await daemon.stop('SIGCONT')
    t.same(daemon.exit, { code: 1, signal: null }, `${name}: exit code`)
    t.match(daemon.log.trimEnd().split('\n').at(-1), reason, name)
  }
  const running = await runningDaemon(t, { neighbors: [RANGE] })
  const busy = createServer()
  await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve))
  t.teardown(() => busy.close())
  const { port } = busy.address() as { port: number }
  await fails(
    'busy port',
    { listen: [{ address: '127.0.0.1', port }] },
    /cannot listen on .* in use by another program/,
  )
  await fails(
    'busy http',
    { api: { socket: `${running.folder}/2.sock`, http: `127.0.0.1:${port}` } },
    /cannot open api.http .*already/,
  )
  await fails('second daemon', { api: { socket: running.socket } }, /already running: another nodebgp answers on/)
  writeFileSync(join(running.folder, 'file'), '')
  await fails(
    'a file for a folder',
    { api: { socket: `${running.folder}/file/n.sock` } },
    /cannot create the folder of api.socket/,
  )
  await fails(
    'no address of ours',
    { listen: [{ address: '192.0.2.1' }] },
    /192.0.2.1 is not an address of this machine/,
  )
  await fails('bad file', { asn: 'x' }, /the daemon was not started/)
  await fails('next hop', { originate: [{ prefix: '10.0.0.0/8', nextHop: '0.0.0.0' }] }, /the daemon was not started/)
  t.equal((await running.summary()).peers.length, 1, 'the running one still answers')
})

t.test('nonsense to a running daemon changes nothing', async (t) => {
  const daemon = await runningDaemon(t, { neighbors: [RANGE] })
  const client = await new Client(daemon.port, '127.66.0.2').establish()
  t.teardown(() => client.end())
  client.send(update('', GOOD, nlri('10.1.0.0/16')))
  await daemon.until(
    'learned a route',
    () => daemon.rib(),
    (rib) => rib.length === 1,
  )
  const refused: [number, RegExp, ...string[]][] = [
    [2, /needs a prefix length of 0 to 32/, 'announce', '10.0.0.0/33'],
    [2, /is not a prefix/, 'announce', 'nonsense'],
    [2, /cannot be a next hop/, 'announce', '10.0.0.0/8', '--next-hop', '0.0.0.0'],
    [2, /cannot be a next hop/, 'announce', '10.0.0.0/8', '--next-hop', '224.0.0.1'],
    [2, /not of the family/, 'announce', '10.0.0.0/8', '--next-hop', 'fe80::1'],
    [1, /not announced by this speaker/, 'withdraw', '10.1.0.0/16'],
    [1, /no neighbor with the name or address 'nobody'/, 'neighbor', 'nobody', 'clear'],
  ]
  for (const [code, err, ...command] of refused)
    t.match(await daemon.command(...command), { code, err }, `${command.join(' ')} (${code})`)
  const good = daemon.config
  t.match(await daemon.reload({ ...good, neighbors: [{ ...RANGE, asn: 'x' }] }), {
    code: 1,
    err: /bgp.yaml:\d+:\d+ neighbors\[0\].asn/,
  })
  t.match(await daemon.reload({ ...good, asn: 64513 }), { code: 1, err: /bgp.yaml: asn|bgp.yaml asn/ })
  writeFileSync(daemon.file, 'neighbors: [')
  daemon.signal('SIGHUP')
  await daemon.until(
    'refused the file',
    () => daemon.log.split('\n').filter((line) => line.includes('config-rejected')).length === 3,
  )
  t.equal((await daemon.rib()).length, 1, 'the route is still there')
  t.match(
    (await daemon.neighbors()).find(({ dynamic }) => dynamic),
    { state: 'Established', establishedCount: 1 },
  )
  client.end()
  await daemon.until(
    'forgot the peer',
    () => daemon.neighbors(),
    (all) => !all.some(({ dynamic }) => dynamic),
  )
  t.match(await daemon.command('neighbor', 'clients', 'down'), { code: 1, err: /range clients has no peers now/ })
  t.match(await daemon.command('show', 'neighbors', 'clients'), { code: 1, err: /range clients has no peers now/ })
  await daemon.stop()
  t.same(daemon.exit, { code: 0, signal: null })
  t.match(await nodebgp('show', 'summary', '--socket', daemon.socket), { code: 3, err: /no daemon/ })
})

t.test('SIGTERM with 200 sessions, and a start that is interrupted, end well', async (t) => {
  const daemon = await runningDaemon(t, { neighbors: [RANGE] })
  const clients = Array.from({ length: 200 }, (_, n) => new Client(daemon.port, `127.66.7.${n + 1}`))
  await Promise.all(clients.map((client) => client.establish()))
  await daemon.stop()
  t.same(daemon.exit, { code: 0, signal: null })
  await Promise.all(clients.map((client) => client.closed()))
  t.ok(
    clients.every((client) => client.notification().startsWith('0602')),
    'every peer was told (6/2)',
  )

  const early = await makeDaemon(t, { neighbors: [RANGE] })
  early.start()
  await early.until('starts', () => early.log.includes('daemon-start'))
  await early.stop()
  t.same(early.exit, { code: 0, signal: null })
})
