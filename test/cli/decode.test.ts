import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough, Readable, Writable } from 'node:stream'
import t from 'tap'
import { decodeCommand, decodeLines, toJson, toText } from '../../src/cli/commands/decode.js'

const KEEPALIVE = `${'ff'.repeat(16)}001304`
const moduleUrl = new URL('../../src/cli/commands/decode.js', import.meta.url).href

async function answers(chunks: readonly (string | Buffer)[], format = toJson): Promise<string[]> {
  const output = new PassThrough({ highWaterMark: 1 << 24 })
  await decodeLines(Readable.from(chunks, { objectMode: false }), output, format)
  output.end()
  let text = ''
  for await (const part of output) text += String(part)
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}

/** The command as a process of its own, with the given arguments of its handler. */
function start(argv: object): ReturnType<typeof spawn> {
  const script = `import(${JSON.stringify(moduleUrl)}).then((m) => m.decodeCommand.handler(${JSON.stringify(argv)}))`
  return spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'pipe'] })
}

const ARGV = { json: true, kind: 'message', as4: true, ebgp: false, 'extended-message': false, addpath: [] }

t.test('one answer for each line, in order, whatever the lines hold', async (t) => {
  const lines = [KEEPALIVE, 'nonsense', '', '   ', '{"id":1,"hex":"ff"}', '{broken', `{"id":"é","hex":"${KEEPALIVE}"}`]
  const wanted = ['ok', 'error', 'incomplete', 'error', 'ok']
  const input = Buffer.from(lines.join('\n'))
  for (const size of [1, 5, 10000]) {
    const chunks: Buffer[] = []
    for (let at = 0; at < input.length; at += size) chunks.push(input.subarray(at, at + size))
    const got = (await answers(chunks)).map((line) => JSON.parse(line) as { id: unknown; result: string })
    t.same(
      got.map((one) => one.result),
      wanted,
      `chunks of ${size}`,
    )
    t.same(
      got.map((one) => one.id),
      [null, null, 1, null, 'é'],
    )
  }
  t.same(await answers([]), [])
  t.equal((await answers([`${KEEPALIVE}\r\n`])).length, 1)
})

t.test('text for people', async (t) => {
  const open = `${'ff'.repeat(16)}002d0104fc00005ac0a8000b10020e010400010001020041040000fc00`
  t.same(await answers([`{"id":"o","hex":"${open}"}\n`], toText), [
    '"o" OPEN: ok',
    '  version            4',
    '  myAs               64512',
    '  asn                64512',
    '  holdTime           90',
    '  bgpId              192.168.0.11',
    '  capabilities       code 1, value 00010001, name multiprotocol, family ipv4-unicast',
    '  capabilities       code 2, name route-refresh',
    '  capabilities       code 65, value 0000fc00, name four-octet-as, asn 64512',
  ])
  t.same(await answers([`${'ff'.repeat(16)}001404`], toText), [
    'MESSAGE: error, NOTIFICATION 1/2 data 0014 (message length 20 is not a KEEPALIVE (RFC 4271 §6.1))',
  ])
})

t.test('a slow reader slows the input down', async (t) => {
  let waiting: (() => void) | undefined
  let written = 0
  const output = new Writable({
    highWaterMark: 1,
    write: (chunk: Buffer, _encoding, done) => {
      written += chunk.length
      waiting = done
    },
  })
  let taken = 0
  const input = Readable.from(
    (function* () {
      for (; taken < 200; taken++) yield Buffer.from(`${KEEPALIVE}\n`.repeat(100))
    })(),
    { objectMode: false },
  )
  const done = decodeLines(input, output, toJson)
  while (waiting === undefined) await new Promise((resolve) => setImmediate(resolve))
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  t.ok(taken < 100, `took ${taken} of 200 chunks while the output stood still`)
  const drain = setInterval(() => waiting?.(), 0)
  await done
  clearInterval(drain)
  t.equal(taken, 200)
  const line = toJson({ id: null, result: 'ok', notify: null, decoded: { type: 'keepalive' } })
  t.equal(written, 20000 * line.length)
})

t.test('as a process: answers while the input is open, ends with it', async (t) => {
  const child = start(ARGV)
  child.stdin!.write(`${KEEPALIVE}\n`)
  const [first] = (await once(child.stdout!, 'data')) as [Buffer]
  t.match(JSON.parse(String(first)), { result: 'ok', decoded: { type: 'keepalive' } })
  child.stdin!.end('zz')
  const [second] = (await once(child.stdout!, 'data')) as [Buffer]
  t.match(JSON.parse(String(second)), { result: 'error', notify: null })
  t.same((await once(child, 'exit'))[0], 0)
})

t.test('as a process: a reader that leaves early is no error', async (t) => {
  const child = start(ARGV)
  let errors = ''
  child.stderr!.on('data', (part: Buffer) => {
    errors += String(part)
  })
  child.stdin!.on('error', () => {})
  const exit = once(child, 'exit')
  child.stdin!.write(`${KEEPALIVE}\n`)
  await once(child.stdout!, 'data')
  child.stdout!.destroy()
  const feed = setInterval(() => child.stdin!.write(`${KEEPALIVE}\n`.repeat(1000)), 1)
  const [code] = await exit
  clearInterval(feed)
  t.equal(code, 0)
  t.equal(errors, '')
})

t.test('options', async (t) => {
  t.equal(decodeCommand.command, 'decode')
  const child = start({ ...ARGV, kind: 'stream' })
  child.stdin!.end(`${KEEPALIVE}${KEEPALIVE}\n`)
  const [answer] = (await once(child.stdout!, 'data')) as [Buffer]
  t.match(JSON.parse(String(answer)), { result: 'ok', decoded: { messages: 2 } })
  await once(child, 'exit')
})
