import fs from 'node:fs'
import path from 'node:path'

/** Everything at and below it is on the simulated disk. */
export const DISK = '/simulated-disk'
/** What a disk writes whole or not at all. */
const SECTOR_BYTES = 512
const FIRST_FD = 1 << 24

interface SimulatedFile {
  bytes: Uint8Array
  /** As it was when it was synced last. */
  synced: Uint8Array
  /** By sector: what it has held since then, oldest first. And how long the file has been. */
  sectors: Map<number, Uint8Array[]>
  sizes: number[]
}

interface SimulatedDirectory {
  names: Map<string, Entry>
  synced: Map<string, Entry>
  /** Since then: what was taken away, and what was put. Each happens as a whole. */
  changes: { removed: string[]; put: [string, Entry][] }[]
}

type Entry = SimulatedFile | SimulatedDirectory

/** What survives of what was not synced, asked for each sector, size and change of names. */
export type Survival = (versions: number) => number

/** Nothing; everything. */
export const OLDEST: Survival = () => 0
export const NEWEST: Survival = (versions) => versions - 1

/**
 * A disk in memory whose power can be cut: it keeps what was written apart from what was synced. When the power fails, each
 * sector of a file is what it was when the file was synced last, or what any write since has made of it; the file is as long
 * as it was at any time since; names that were made, moved or removed since the directory was synced are so or are not. All
 * independently of each other: more than any real disk does.
 */
export class SimulatedDisk {
  /** Before something is made durable, and after something was written: the moments at which the power may fail. */
  onMoment: ((what: string) => void) | undefined
  /** Files and directories whose syncs do nothing, though they say that all is well. */
  liesAbout: RegExp | undefined
  private root: SimulatedDirectory = emptyDirectory()
  private readonly open = new Map<number, { file: Entry; path: string }>()
  private nextFd = FIRST_FD

  /** What is on it now, synced or not, so that it can be put back. */
  image(): unknown {
    return structuredClone(this.root)
  }

  /** With another content. Nothing is open. */
  load(image: unknown): void {
    this.root = structuredClone(image) as SimulatedDirectory
    this.open.clear()
  }

  /** The power fails, and comes back. */
  failPower(survival: Survival): void {
    this.root = survivorOf(this.root, survival, new Map())
    this.open.clear()
  }

  /** From now on until `unmount`, paths on this disk are its own. */
  mount(): void {
    unmount()
    const own: Partial<Record<keyof typeof fs, (...args: never[]) => unknown>> = {
      openSync: (file: string, flags: string) => this.openFile(file, flags),
      closeSync: (fd: number) => this.open.delete(fd),
      readSync: (fd: number, into: Uint8Array, offset: number, length: number, position: number) => {
        const part = this.fileOf(fd).bytes.subarray(position, position + length)
        into.set(part, offset)
        return part.length
      },
      writeSync: (fd: number, from: Uint8Array, offset: number, length: number, position: number) =>
        this.write(fd, from.subarray(offset, offset + length), position),
      writevSync: (fd: number, views: Uint8Array[], position: number) => this.write(fd, Buffer.concat(views), position),
      ftruncateSync: (fd: number, length: number) => this.truncate(fd, length),
      fsyncSync: (fd: number) => this.sync(fd),
      fdatasyncSync: (fd: number) => this.sync(fd),
      fstatSync: (fd: number) => ({ size: this.fileOf(fd).bytes.length }),
      statSync: (file: string) => ({ size: asFile(this.find(file)).bytes.length }),
      existsSync: (file: string) => this.lookUp(file) !== undefined,
      realpathSync: (file: string) => this.find(file) && file,
      readdirSync: (directory: string) => [...asDirectory(this.find(directory)).names.keys()],
      readFileSync: (file: string, encoding?: BufferEncoding) => {
        const bytes = Buffer.from(asFile(this.find(file)).bytes)
        return encoding === undefined ? bytes : bytes.toString(encoding)
      },
      mkdirSync: (directory: string) => this.rename(directory, [], [[directory, emptyDirectory()]]),
      renameSync: (from: string, to: string) => this.rename(to, [from], [[to, this.find(from)]]),
      linkSync: (from: string, to: string) => {
        if (this.lookUp(to) !== undefined) throw failed('EEXIST', to)
        this.rename(to, [], [[to, this.find(from)]])
      },
      unlinkSync: (file: string) => this.find(file) && this.rename(file, [file], []),
      rmSync: (file: string) => this.lookUp(file) && this.rename(file, [file], [])
    }
    const calls = fs as unknown as Record<string, (...args: unknown[]) => unknown>
    for (const [name, call] of Object.entries(own)) {
      const real = calls[name] as (...args: unknown[]) => unknown
      const simulated = call as (...args: unknown[]) => unknown
      realCalls.set(name, real)
      calls[name] = (...args) => {
        const [at] = args
        const isOurs = typeof at === 'number' ? at >= FIRST_FD : String(at).startsWith(DISK)
        return isOurs ? simulated(...args) : real(...args)
      }
    }
  }

  private openFile(name: string, flags: string): number {
    let file = this.lookUp(name)
    if (file !== undefined && flags.includes('x')) throw failed('EEXIST', name)
    if (file === undefined) {
      if (flags.startsWith('r')) throw failed('ENOENT', name)
      file = { bytes: new Uint8Array(0), synced: new Uint8Array(0), sectors: new Map(), sizes: [] }
      this.rename(name, [], [[name, file]])
    }
    const fd = this.nextFd++
    this.open.set(fd, { file, path: name })
    if (flags.startsWith('w') && asFile(file).bytes.length > 0) this.truncate(fd, 0)
    return fd
  }

  private write(fd: number, bytes: Uint8Array, position: number): number {
    const file = this.fileOf(fd)
    const end = position + bytes.length
    const from = Math.min(position, file.bytes.length)
    if (end > file.bytes.length) resize(file, end)
    file.bytes.set(bytes, position)
    noteSectors(file, from, end)
    this.onMoment?.(`write ${this.pathOf(fd)}`)
    return bytes.length
  }

  private truncate(fd: number, length: number): void {
    const file = this.fileOf(fd)
    const before = file.bytes.length
    resize(file, length)
    noteSectors(file, Math.min(before, length), Math.max(before, length))
    this.onMoment?.(`truncate ${this.pathOf(fd)}`)
  }

  private sync(fd: number): void {
    const file = this.pathOf(fd)
    this.onMoment?.(`sync ${file}`)
    if (this.liesAbout?.test(file)) return
    const entry = this.open.get(fd)?.file as Entry
    if (isDirectory(entry)) {
      entry.synced = new Map(entry.names)
      entry.changes = []
    } else {
      entry.synced = entry.bytes.slice()
      entry.sectors.clear()
      entry.sizes = []
    }
  }

  private rename(at: string, removed: string[], put: [string, Entry][]): void {
    const directory = asDirectory(this.find(path.dirname(at)))
    const change = {
      removed: removed.map((file) => path.basename(file)),
      put: put.map(([file, entry]): [string, Entry] => [path.basename(file), entry])
    }
    directory.changes.push(change)
    applyChange(directory.names, change)
    this.onMoment?.(`name ${at}`)
  }

  private lookUp(file: string): Entry | undefined {
    let entry: Entry | undefined = this.root
    for (const name of path.relative(DISK, file).split(path.sep)) {
      if (name === '') continue
      if (entry === undefined || !isDirectory(entry)) return undefined
      entry = entry.names.get(name)
    }
    return entry
  }

  private find(file: string): Entry {
    const entry = this.lookUp(file)
    if (entry === undefined) throw failed('ENOENT', file)
    return entry
  }

  private fileOf(fd: number): SimulatedFile {
    return asFile(this.open.get(fd)?.file)
  }

  private pathOf(fd: number): string {
    return this.open.get(fd)?.path ?? ''
  }
}

/** Not by spies: they keep what every call was given. */
const realCalls = new Map<string, (...args: unknown[]) => unknown>()

export function unmount(): void {
  for (const [name, real] of realCalls) Object.assign(fs, { [name]: real })
  realCalls.clear()
}

function emptyDirectory(): SimulatedDirectory {
  return { names: new Map(), synced: new Map(), changes: [] }
}

function isDirectory(entry: Entry): entry is SimulatedDirectory {
  return 'names' in entry
}

function asFile(entry: Entry | undefined): SimulatedFile {
  if (entry === undefined || isDirectory(entry)) throw failed('EBADF', 'no open file')
  return entry
}

function asDirectory(entry: Entry): SimulatedDirectory {
  if (!isDirectory(entry)) throw failed('ENOTDIR', 'not a directory')
  return entry
}

function failed(code: string, file: string): Error {
  return Object.assign(new Error(`${code}: ${file}`), { code })
}

function resize(file: SimulatedFile, length: number): void {
  const bytes = new Uint8Array(length)
  bytes.set(file.bytes.subarray(0, length))
  file.bytes = bytes
  file.sizes.push(length)
}

function noteSectors(file: SimulatedFile, from: number, to: number): void {
  for (let sector = Math.floor(from / SECTOR_BYTES); sector * SECTOR_BYTES < to; sector++) {
    const versions = file.sectors.get(sector) ?? []
    versions.push(sectorOf(file.bytes, sector))
    file.sectors.set(sector, versions)
  }
}

function sectorOf(bytes: Uint8Array, sector: number): Uint8Array {
  const whole = new Uint8Array(SECTOR_BYTES)
  whole.set(bytes.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES))
  return whole
}

function applyChange(names: Map<string, Entry>, { removed, put }: SimulatedDirectory['changes'][number]): void {
  for (const name of removed) names.delete(name)
  for (const [name, entry] of put) names.set(name, entry)
}

function survivorOf<E extends Entry>(entry: E, survival: Survival, known: Map<Entry, Entry>): E {
  const before = known.get(entry)
  if (before !== undefined) return before as E
  const survivor = isDirectory(entry) ? directoryAfter(entry, survival, known) : fileAfter(entry, survival)
  known.set(entry, survivor)
  return survivor as E
}

function directoryAfter(
  directory: SimulatedDirectory,
  survival: Survival,
  known: Map<Entry, Entry>
): SimulatedDirectory {
  const names = new Map(directory.synced)
  for (const change of directory.changes) if (survival(2) === 1) applyChange(names, change)
  for (const [name, entry] of names) names.set(name, survivorOf(entry, survival, known))
  return { names, synced: new Map(names), changes: [] }
}

function fileAfter(file: SimulatedFile, survival: Survival): SimulatedFile {
  const sizes = [file.synced.length, ...file.sizes]
  const bytes = new Uint8Array(sizes[survival(sizes.length)] as number)
  for (let sector = 0; sector * SECTOR_BYTES < bytes.length; sector++) {
    const versions = [sectorOf(file.synced, sector), ...(file.sectors.get(sector) ?? [])]
    const at = sector * SECTOR_BYTES
    bytes.set((versions[survival(versions.length)] as Uint8Array).subarray(0, bytes.length - at), at)
  }
  return { bytes, synced: bytes.slice(), sectors: new Map(), sizes: [] }
}
