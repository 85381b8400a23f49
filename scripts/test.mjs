/**
 * `npm test [-- PATH …]`: installs what is missing, compiles, and runs the tests, or those whose path contains one of PATH. The last line is
 * always `N passed, N failed, N skipped`.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { listFiles, PrepareError, prepare, root, run, tapProgram } from './prepare.mjs'
import { TapResults } from './tap-results.mjs'

/** Two test files at a time; those that start whole racks or measure run alone. */
const JOBS = 2
const SERIAL = ['lab', 'memory', 'robustness']
const FILE_TIMEOUT_SECONDS = 300

await run(async () => {
  const filters = process.argv.slice(2)
  if (filters.some((filter) => filter.startsWith('-'))) {
    throw new PrepareError('usage: npm test [-- PATH …], for example: npm test -- test/rib')
  }
  await prepare({ tap: true })
  const files = selectFiles(filters)
  const results = new TapResults({ onFile: printFile, onFailure: printFailure })
  const code = files.length === 0 ? 0 : await runTap(files, results)
  return printSummary(results, code, filters)
})

/** Compiled test files, as paths below the project. */
function selectFiles(filters) {
  const wanted = filters.map((filter) =>
    filter
      .replace(/^\.\//, '')
      .replace(/^dist\//, '')
      .replace(/\.ts$/, '.js'),
  )
  return listFiles(join(root, 'dist', 'test'), '.test.js')
    .map((file) => file.slice(root.length + 1))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
}

async function runTap(files, results) {
  const options = [
    '--reporter=tap',
    `--jobs=${JOBS}`,
    `--timeout=${FILE_TIMEOUT_SECONDS}`,
    `--node-arg=--import=${pathToFileURL(join(root, 'scripts', 'plain-children.mjs'))}`,
    ...SERIAL.map((folder) => `--serial=${join('dist', 'test', folder)}`),
  ]
  const tap = spawn(process.execPath, [tapProgram(), ...options, ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  tap.stdout.setEncoding('utf8')
  tap.stdout.on('data', (text) => results.write(text))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => tap.kill(signal))
  return new Promise((resolve, reject) => {
    tap.on('error', reject)
    tap.on('close', (code) => {
      results.end()
      resolve(code ?? 1)
    })
  })
}

function printFile({ name, passed, failed, skipped }) {
  const parts = [`${passed} passed`]
  if (failed > 0) parts.push(`${failed} failed`)
  if (skipped > 0) parts.push(`${skipped} skipped`)
  print(`${failed > 0 ? 'FAIL' : 'ok  '} ${sourceName(name)}: ${parts.join(', ')}`)
}

function printFailure({ name, why, diagnostics }) {
  print(`\nFAILED ${sourceName(name)}${why === '' ? '' : `: ${why}`}`)
  for (const line of diagnostics) print(`    ${line}`)
  print('')
}

function printSummary(results, code, filters) {
  if (results.skipped.length > 0) print('\nSkipped:')
  for (const { name, reason } of results.skipped) print(`  ${sourceName(name)}: ${reason}`)
  const ran = results.passed + results.failed + results.skipped.length
  if (ran === 0)
    print(`\nNo test ran${filters.length > 0 ? `: no test file has ${filters.join(' or ')} in its path` : ''}.`)
  else if (code !== 0 && results.failed === 0) print(`\nThe test runner failed with exit code ${code}, see above.`)
  print(`\n${results.passed} passed, ${results.failed} failed, ${results.skipped.length} skipped`)
  return code !== 0 || results.failed > 0 || ran === 0 ? 1 : 0
}

function sourceName(name) {
  return name.replace(/^dist\//, '').replace(/\.test\.js\b/, '.test.ts')
}

function print(line) {
  process.stdout.write(`${line}\n`)
}
