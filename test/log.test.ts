import { spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createLogger, type Log, type LogLevel, RepeatLimiter } from '../src/log.js'
import { formatLogLine } from '../src/log-output.js'

const logModule = new URL('../src/log.js', import.meta.url).href
const down = { peer: 'tor-a', from: 'Established', to: 'Idle', reason: 'hold timer expired' }
const retry = { peer: 'tor-a', from: 'Connect', to: 'Active', reason: 'connection refused' }

interface Record {
  level: number
  event: string
  msg: string
  [key: string]: unknown
}

/** A logger into a file; `read` flushes it and gives the records. */
function givenLog(
  t: { teardown: (end: () => void) => void },
  level: LogLevel = 'info',
  nowMs = () => 0,
): { log: Log; read: () => Record[] } {
  const directory = mkdtempSync(join(tmpdir(), 'nodebgp-log-'))
  const file = join(directory, 'log')
  const fd = openSync(file, 'a')
  const log = createLogger(level, { fd, format: 'json', nowMs })
  t.teardown(() => {
    log.close()
    closeSync(fd)
    rmSync(directory, { recursive: true })
  })
  const read = (): Record[] => {
    log.flush()
    const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
    return lines.map((line) => JSON.parse(line) as Record)
  }
  return { log, read }
}

t.test('an event is a JSON line with its name, fields and words', async (t) => {
  const { log, read } = givenLog(t)
  log.write('session-state', down)
  log.write('session-state', { ...down, from: 'OpenConfirm', to: 'Established', reason: 'KEEPALIVE received' })
  log.write('listen', { address: '::', port: 179 })
  t.match(read(), [
    { level: 40, event: 'session-state', ...down, msg: 'tor-a: Established to Idle: hold timer expired' },
    { level: 30, msg: 'tor-a: OpenConfirm to Established: KEEPALIVE received' },
    { level: 30, event: 'listen', msg: 'listening for BGP on [::]:179' },
  ])
})

t.test('levels: what is below is not written, and the level can change', async (t) => {
  const { log, read } = givenLog(t)
  const handshake = { peer: 'nodes-1', from: 'Connect', to: 'OpenSent', reason: 'connected', dynamic: true }
  log.write('session-state', handshake)
  t.same(read(), [])
  t.notOk(log.enabled('debug'))
  log.setLevel('debug')
  t.equal(log.level, 'debug')
  log.write('session-state', handshake)
  t.match(read(), [{ level: 20, peer: 'nodes-1' }])
  log.write('session-state', { ...handshake, from: 'OpenSent', to: 'Idle', reason: 'sent NOTIFICATION 2/2' })
  t.match(read().at(-1), { level: 40 }, 'a dynamic peer that pays for an error is told')
  log.setLevel('silent')
  log.write('daemon-failed', { reason: 'x' })
  t.equal(read().length, 2)
})

t.test('retries towards a dead peer are thinned and counted; losses of a session never are', async (t) => {
  let now = 0
  const { log, read } = givenLog(t, 'info', () => now)
  for (let n = 0; n < 12; n++) log.write('session-state', retry)
  for (let n = 0; n < 12; n++) log.write('session-state', down)
  t.equal(read().filter((record) => record['to'] === 'Active').length, 5)
  t.equal(read().filter((record) => record['to'] === 'Idle').length, 12)
  log.write('session-state', { ...retry, reason: 'no route to host' })
  t.match(read().at(-1), { reason: 'no route to host' }, 'another reason is another fact')
  now = 60_000
  log.write('session-state', retry)
  t.match(read().at(-1), { repeated: 7, msg: /and 7 more like this/ })
})

t.test('BFD that comes and goes without end is thinned and counted, for each peer', async (t) => {
  let nowMs = 0
  const { log, read } = givenLog(t, 'info', () => nowMs)
  const change = { peer: 'tor-a', address: '10.0.0.2', from: 'Up', to: 'Down', reason: 'the peer says AdminDown' }
  for (let n = 0; n < 1000; n++) {
    log.write('bfd-state', change)
    log.write('bfd-state', { ...change, from: 'Init', to: 'Up' })
  }
  t.equal(read().length, 10)
  log.write('bfd-state', { ...change, peer: 'tor-b' })
  nowMs = 60_000
  log.write('bfd-state', change)
  t.match(read().slice(10), [{ peer: 'tor-b' }, { peer: 'tor-a', repeated: 995 }])
})

t.test('the limiter forgets the oldest keys', async (t) => {
  const limiter = new RepeatLimiter({ burst: 1, intervalMs: 1000, maxKeys: 100 })
  for (let n = 0; n < 1000; n++) t.equal(limiter.take(`key ${n}`, 0), 0)
  t.equal(limiter.size, 100)
  t.equal(limiter.take('key 999', 999), -1)
  t.equal(limiter.take('key 999', 1000), 1)
})

t.test('a full disk does not stop the program', async (t) => {
  const fd = openSync('/dev/full', 'w')
  const log = createLogger('info', { fd, format: 'json' })
  log.write('notice', { text: 'into the void' })
  log.flush()
  log.close()
  closeSync(fd)
  t.pass('still here')
})

t.test('what was lost is told when writing works again; a reader that stops does not hold the program', async (t) => {
  const script = `
    import { createLogger } from '${logModule}'
    const log = createLogger('info')
    for (let n = 0; n < 20000; n++) log.write('session-state', { peer: 'p' + n, from: 'Established', to: 'Idle', reason: 'x'.repeat(100) })
    log.flush()
    process.stderr.write('alive')
    let end
    process.stdin.on('data', () => {
      if (end) {
        clearInterval(end)
        process.stdin.destroy()
      } else end = setInterval(() => log.write('notice', { text: 'n' + Math.random() }), 20)
    })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  child.stdout.pause()
  await new Promise((resolve) => child.stderr.once('data', resolve))
  t.pass('it wrote more than the pipe takes and went on')
  child.stdin.write('go')
  let text = ''
  let stopped = false
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    if (!stopped && text.includes('"event":"log-lost"')) {
      stopped = true
      child.stdin.write('enough')
    }
  })
  child.stdout.resume()
  await new Promise((resolve) => child.once('close', resolve))
  const records = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record)
  const lost = records.find((record) => record.event === 'log-lost')
  t.match(lost, { reason: 'the reader of the log is too slow' })
  const kept = records.filter((record) => record.event === 'session-state').length
  t.ok(Number(lost?.['lines']) >= 20_000 - kept, 'every line is written or counted')
})

t.test('a full pipe does not block, nor does the end', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'nodebgp-log-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'pipe')
  spawnSync('mkfifo', [path])
  const fd = openSync(path, 'r+')
  const log = createLogger('info', { fd, format: 'json' })
  for (let n = 0; n < 5000; n++) log.write('session-state', down)
  log.flush()
  log.close()
  const bytes = Buffer.alloc(4096)
  t.equal(readSync(fd, bytes), 4096)
  t.match(JSON.parse(bytes.toString('utf8').split('\n')[0]!), down)
  closeSync(fd)
})

t.test('a closed pipe does not stop the program, and the exit flushes', async (t) => {
  const script = `
    import { createLogger } from '${logModule}'
    const log = createLogger('info')
    log.write('notice', { text: 'one' })
    setTimeout(() => { log.write('notice', { text: 'two' }); process.exitCode = 7 }, 300)`
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  t.equal(run.status, 7)
  t.equal(run.stdout.split('\n').filter(Boolean).length, 2, 'written at exit as well')
  const piped = spawnSync(
    'bash',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's
    ['-c', '"$0" --input-type=module -e "$1" | true; echo ${PIPESTATUS[0]}', process.execPath, script],
    { encoding: 'utf8' },
  )
  t.equal(piped.stdout, '7\n')
  t.equal(piped.stderr, '')
})

t.test('the text form: one line, and nothing in it steers the terminal', async (t) => {
  const line = JSON.stringify({
    level: 40,
    time: 0,
    pid: 1,
    hostname: 'h',
    event: 'session-state',
    peer: 'tor-a',
    family: 'ipv4-unicast',
    msg: 'tor-a: bye\n\x1b[2J\x9b31m\u202eevil',
  })
  const text = formatLogLine(line, false)
  t.match(text, /^00:00:00\.000 WARN {2}tor-a: bye\?.*evil \[session-state\] family=ipv4-unicast\n$/)
  t.notMatch(text.slice(0, -1), /[\p{Cc}\u202e]/u)
  t.match(formatLogLine(line, true), '\x1b[33m')
  t.equal(formatLogLine('no JSON\n', false), 'no JSON\n')
})

t.test('NODEBGP_LOG_FORMAT decides', async (t) => {
  const script = `import { createLogger } from '${logModule}'; createLogger('info').write('notice', { text: 'hello' })`
  const run = (format: string): string =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, NODEBGP_LOG_FORMAT: format },
    }).stdout
  t.match(run('text'), /^\d\d:\d\d:\d\d\.\d{3} INFO {2}hello \[notice\]\n$/)
  t.match(JSON.parse(run('json')), { msg: 'hello' })
  t.match(JSON.parse(run('')), { msg: 'hello' }, 'a pipe gets JSON')
})
