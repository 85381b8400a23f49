/**
 * The daemon at work, for the build: three speakers of one process on loopback, with routes to a FIB in memory. Two are clients of the third; one of them comes, is asked
 * about, and goes. What has run by then is in the code that V8 stores (scripts/bundle.mjs). Nothing but loopback and a folder of its own is touched.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** `daemon`: what the daemon's script exports. Rejects when the speakers do not come to an end in time. */
export async function exercise({ Speaker, createLogger, loadConfig }) {
  const dir = mkdtempSync(join(tmpdir(), 'nodebgp-build-'))
  const nowhere = openSync('/dev/null', 'w')
  const log = createLogger('info', { fd: nowhere, format: 'json' })
  const speakers = []
  try {
    const port = await freePort()
    const start = async (number, keys) => {
      const file = join(dir, `${number}.yaml`)
      writeFileSync(file, JSON.stringify(configuration(dir, number, keys)))
      const result = loadConfig(file)
      if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join('; '))
      const speaker = new Speaker(result.config, log)
      speakers.push(speaker)
      await speaker.start()
      return speaker
    }
    const clients = [2, 3].map((number) => ({
      address: `127.0.0.${number}`,
      asn: ASN,
      passive: true,
      reflectorClient: true,
    }))
    await start(1, { listen: [{ address: '127.0.0.1', port }], reflector: {}, neighbors: clients })
    const reflector = { address: '127.0.0.1', port, asn: ASN }
    const client = (number) =>
      start(number, {
        neighbors: [{ ...reflector, sourceAddress: `127.0.0.${number}` }],
        originate: [{ prefix: `10.244.${number}.0/26`, nextHop: `198.51.100.${number}` }],
      })
    await client(3)
    const leaver = await client(2)
    for (const number of [1, 3]) await until(dir, number, 'rib?prefix=10.244.2.0/26', (paths) => paths.length === 1)
    for (const view of VIEWS) await ask(dir, 1, view)
    await leaver.stop()
    for (const number of [1, 3]) await until(dir, number, 'rib?prefix=10.244.2.0/26', (paths) => paths.length === 0)
  } finally {
    for (const speaker of speakers) await speaker.stop()
    log.close()
    closeSync(nowhere)
    rmSync(dir, { recursive: true })
  }
}

function configuration(dir, number, keys) {
  return {
    asn: ASN,
    routerId: `127.0.0.${number}`,
    nodeName: `node-${number}`,
    listen: [],
    api: { socket: socketOf(dir, number) },
    fib: { driver: 'memory', accept: ['10.244.0.0/16'] },
    ...keys,
  }
}

function socketOf(dir, number) {
  return join(dir, `${number}.sock`)
}

async function until(dir, number, view, isSo) {
  const end = performance.now() + LIMIT_MS
  for (;;) {
    const seen = await ask(dir, number, view)
    if (isSo(seen)) return
    if (performance.now() > end) throw new Error(`speaker ${number} still says of ${view}: ${JSON.stringify(seen)}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function ask(dir, number, view) {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: socketOf(dir, number), path: `/v1/${view}` }, async (answer) => {
      const text = (await answer.setEncoding('utf8').toArray()).join('')
      if (answer.statusCode === 200) resolve(JSON.parse(text))
      else reject(new Error(`${view}: ${text}`))
    })
    asked.on('error', reject).end()
  })
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

const ASN = 64_512
const LIMIT_MS = 30_000
const VIEWS = ['summary', 'neighbors']
