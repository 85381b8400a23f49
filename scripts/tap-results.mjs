/**
 * Reads the TAP that the runner prints (never in the buffered form) and counts tests: a test is a test point that is not the summary of a subtest, so an assertion, or a
 * subtest without any. A subtest or file that fails although nothing below it failed (crash, time-out, plan) is one failed test, and so is a
 * file that ran no test.
 */
export class TapResults {
  passed = 0
  failed = 0
  /** {name, reason} */
  skipped = []

  #onFile
  #onFailure
  /** Open subtests, outermost (the file) first. */
  #open = []
  /** The failed point whose diagnostic block may follow. */
  #failure = null
  /** The diagnostic block that is being read. */
  #block = null
  /** The last line was a test point: only there a diagnostic block may begin. */
  #afterPoint = false
  #rest = ''

  /** onFile({name, passed, failed, skipped}) after each file; onFailure({name, why, diagnostics}) after each failed test. */
  constructor({ onFile = () => {}, onFailure = () => {} } = {}) {
    this.#onFile = onFile
    this.#onFailure = onFailure
  }

  write(text) {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#line(line)
  }

  end() {
    this.#line(this.#rest)
    this.#reportFailure()
    // What is open now never ended: the runner died.
    const file = this.#open[0]
    if (file !== undefined) this.#fail(file, [file.name], 'did not end')
    this.#reportFailure()
  }

  #line(line) {
    const text = line.trim()
    const indent = line.length - line.trimStart().length
    if (this.#block !== null) {
      if (text === '...' && indent === this.#block.indent) this.#block = null
      else this.#block.lines.push(line.slice(this.#block.indent))
      return
    }
    const mayDiagnose = this.#afterPoint
    this.#afterPoint = false
    if (mayDiagnose && text === '---') {
      this.#block = { indent, lines: this.#failure?.diagnostics ?? [] }
      return
    }
    this.#reportFailure()
    const subtest = /^# Subtest: (.*)$/.exec(text)
    if (subtest !== null) {
      this.#open.push(frame(subtest[1], indent))
      return
    }
    const point = parsePoint(text)
    if (point === null || indent % 4 !== 0) return
    this.#afterPoint = true
    this.#point(point, indent)
  }

  #point(point, indent) {
    // Subtests deeper than this point were cut off; their counts stay, the point itself says that something is wrong.
    while (this.#open.length > 0 && this.#open.at(-1).indent > indent) merge(this.#open.pop(), this.#open.at(-1))
    if (this.#open.at(-1)?.indent === indent) this.#finish(this.#open.pop(), point)
    else this.#tally(this.#open.at(-1) ?? frame('', 0), point.name, point)
  }

  /** The summary of a subtest or file. */
  #finish(subtest, point) {
    const isFile = this.#open.length === 0
    const empty = subtest.passed + subtest.failed + subtest.skipped === 0
    if (isFile && empty && point.ok) this.#fail(subtest, [subtest.name], 'ran no test')
    else if (empty) this.#tally(subtest, subtest.name, point)
    else if (!point.ok && subtest.failed === 0)
      this.#fail(subtest, [...this.#names(), subtest.name], 'failed as a whole')
    merge(subtest, this.#open.at(-1))
    if (isFile) this.#onFile(subtest)
  }

  #tally(subtest, name, point) {
    const path = [...this.#names(), name]
    if (point.directive !== '') {
      subtest.skipped++
      this.skipped.push({ name: path.join(' > '), reason: point.reason || point.directive })
    } else if (point.ok) {
      subtest.passed++
      this.passed++
    } else {
      this.#fail(subtest, path, '')
    }
  }

  #fail(subtest, path, why) {
    subtest.failed++
    this.failed++
    this.#reportFailure()
    this.#failure = { name: path.join(' > '), why, diagnostics: [] }
  }

  #names() {
    return this.#open.map((subtest) => subtest.name)
  }

  #reportFailure() {
    if (this.#failure !== null) this.#onFailure(this.#failure)
    this.#failure = null
  }
}

function frame(name, indent) {
  return { name, indent, passed: 0, failed: 0, skipped: 0 }
}

function merge(subtest, outer) {
  if (outer === undefined) return
  outer.passed += subtest.passed
  outer.failed += subtest.failed
  outer.skipped += subtest.skipped
}

/** `not ok 3 - name # SKIP reason`: directive is `skip`, `todo` or empty. */
function parsePoint(text) {
  const match = /^(not ok|ok)\b(?: \d+)?(?: - )?(.*)$/.exec(text)
  if (match === null) return null
  const comment = /(?<!\\)# *(skip|todo|time)\b\S*\s*(.*)$/i.exec(match[2])
  const word = comment?.[1].toLowerCase() ?? ''
  return {
    ok: match[1] === 'ok',
    name: match[2].slice(0, comment?.index).trim().replaceAll('\\#', '#'),
    directive: word === 'time' ? '' : word,
    reason: word === 'time' ? '' : (comment?.[2] ?? '').trim(),
  }
}
