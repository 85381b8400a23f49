/**
 * What has to be there before anything runs: packages, compiled files, and tap without its TypeScript plug-in. Each step is skipped when it
 * is up to date. Uses Node's own modules only, because it runs before the packages are installed.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
/** What dist is made by, besides the sources. */
const MAKERS = [
  'tsconfig.json',
  'package-lock.json',
  'bgp.example.yaml',
  'scripts/bundle.mjs',
  'scripts/exercise.mjs',
].map((file) => join(root, file))

/** A failure that the reader can do something about: shown without a stack. */
export class PrepareError extends Error {}

/** Packages installed, sources compiled. `tap: true` makes the test runner ready as well. */
export async function prepare({ tap = false } = {}) {
  checkNode()
  await withLock(async () => {
    installPackages()
    await compile()
    if (tap) buildTap()
  })
}

/** Runs `main` and turns a PrepareError into its message and exit code 1. */
export async function run(main) {
  try {
    process.exitCode = await main()
  } catch (error) {
    if (!(error instanceof PrepareError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  throw new PrepareError(
    `nodebgp needs Node.js 20.19 or newer, this is ${process.versions.node}: install a newer Node.js.`,
  )
}

function installPackages() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const stamp = join(root, 'node_modules', '.nodebgp-install')
  if (readText(stamp) === lock) return
  if (!installedByHand()) {
    say('installing packages (npm ci) …')
    // Packages bring no script that is needed: prebuilt binaries come as packages of their own.
    const args = ['ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
    const npm = process.env.npm_execpath
    const result =
      npm?.endsWith('.js') || npm?.endsWith('.cjs') ? execute(process.execPath, [npm, ...args]) : execute('npm', args)
    if (result.status !== 0) {
      throw new PrepareError(
        `${result.text}\nInstalling the packages failed (npm ci). Check the connection to the package registry (npm config get registry), then start again.`,
      )
    }
  }
  writeFileSync(stamp, lock)
}

/** node_modules is there and younger than the lock file. */
function installedByHand() {
  const installed = mtime(join(root, 'node_modules', '.package-lock.json'))
  return installed > 0 && installed >= mtime(join(root, 'package-lock.json'))
}

async function compile() {
  const sources = ['src', 'test', 'bench', 'fuzz'].flatMap((folder) => listFiles(join(root, folder), '.ts'))
  const digest = createHash('sha256')
  for (const file of [...sources, ...MAKERS]) {
    const { size, mtimeMs } = statSync(file)
    digest.update(`${file} ${size} ${mtimeMs}\n`)
  }
  const state = digest.digest('hex')
  const stamp = join(root, 'dist', '.built')
  if (readText(stamp) === state) return
  say('compiling …')
  rmSync(stamp, { force: true })
  const result = execute(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', root])
  if (result.status !== 0)
    throw new PrepareError(`${result.text}\nCompiling failed: mend the lines above, then start again.`)
  removeStale(new Set(sources.map((file) => join(root, 'dist', file.slice(root.length + 1).replace(/\.ts$/, '')))))
  const { bundle } = await import('./bundle.mjs')
  await bundle()
  writeFileSync(stamp, state)
}

/** Files in dist whose source is gone: a removed test must not run on. */
function removeStale(wanted) {
  for (const file of listFiles(join(root, 'dist'), '')) {
    if (/\.js(\.map)?$/.test(file) && !wanted.has(file.replace(/\.js(\.map)?$/, ''))) rmSync(file)
  }
}

/**
 * tap compiles its test class from the list of plug-ins in .taprc. As delivered it holds the TypeScript plug-in, which does not work with
 * TypeScript 7 (and is not needed: the tests are compiled before). The class also points into .tap/plugins, which may have been removed.
 */
function buildTap() {
  const built = join(root, 'node_modules', '@tapjs', 'test', 'test-built')
  const ready =
    readText(join(built, 'dist', 'esm', 'index.js')).includes('@tapjs/core') &&
    !readText(join(built, 'dist', 'esm', 'index.js')).includes('from "@tapjs/typescript"') &&
    existsSync(join(built, 'node_modules', '@tapjs', 'core'))
  if (ready) return
  say('preparing the test runner …')
  const result = execute(process.execPath, [tapProgram(), 'build'])
  if (result.status !== 0)
    throw new PrepareError(`${result.text}\n'tap build' failed: remove node_modules and .tap, then start again.`)
}

export function tapProgram() {
  return join(root, 'node_modules', '.bin', 'tap')
}

/** Two commands started at the same time install and compile one after the other. */
async function withLock(work) {
  const file = join(root, '.prepare.lock')
  let told = false
  while (!takeLock(file)) {
    if (!told) say('waiting for another npm start or npm test to finish its installation …')
    told = true
    await sleep(200)
  }
  try {
    await work()
  } finally {
    rmSync(file, { force: true })
  }
}

function takeLock(file) {
  try {
    const handle = openSync(file, 'wx')
    writeSync(handle, String(process.pid))
    closeSync(handle)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') {
      throw new PrepareError(`Cannot write to ${root}: ${error.message}. Run from a folder that you may write to.`)
    }
  }
  const owner = Number(readText(file))
  // An empty file belongs to an owner that has just made it, unless it is old.
  const dead = owner > 0 ? !isAlive(owner) : Date.now() - mtime(file) > 5000
  if (dead) rmSync(file, { force: true })
  return false
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function execute(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (result.error) return { status: 1, text: `${command}: ${result.error.message}` }
  return { status: result.status ?? 1, text: `${result.stdout}${result.stderr}`.trim() }
}

export function listFiles(folder, ending) {
  if (!existsSync(folder)) return []
  const files = []
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) files.push(...listFiles(path, ending))
    else if (entry.name.endsWith(ending)) files.push(path)
  }
  return files.sort()
}

function readText(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

function mtime(file) {
  return existsSync(file) ? lstatSync(file).mtimeMs : 0
}

function say(text) {
  process.stderr.write(`nodebgp: ${text}\n`)
}
