import fs from 'node:fs'
import path from 'node:path'
import { TidemarkError } from '../errors.ts'
import { errnoOf, ioError, makeDirectory, openingError, syncDirectory } from './files.ts'

/** What a file is called until all of them are whole. */
const UNFINISHED = '.restoring'

interface TargetFile {
  readonly unfinished: string
  readonly name: string
}

/**
 * The directory that copies are restored into, new or empty. Files get their names last, when all are whole and on the disk;
 * what is given up is removed.
 */
export class RestoreTarget {
  readonly directory: string
  /** The topmost directory that was made for it. */
  private readonly made: string | null
  private readonly files: TargetFile[] = []

  /** @throws TidemarkError TIDEMARK_OPTIONS where it is not a directory, or not empty */
  constructor(directory: string) {
    this.directory = path.resolve(directory)
    try {
      this.made = topmostMissing(this.directory)
      makeDirectory(this.directory)
      const names = fs.readdirSync(this.directory)
      if (names.length === 0) return
      const message = `${this.directory} is not empty: copies are restored into a new or an empty directory`
      throw new TidemarkError('TIDEMARK_OPTIONS', message, { path: this.directory })
    } catch (cause) {
      throw openingError('restore into', this.directory, cause)
    }
  }

  /** Makes the file for the copy of a volume, empty and under another name. @param name  its name when all are whole */
  add(name: string): string {
    const file = path.join(this.directory, name)
    const unfinished = file + UNFINISHED
    try {
      // Exclusively: someone else may have found the directory empty, too.
      fs.closeSync(fs.openSync(unfinished, 'wx'))
    } catch (cause) {
      throw openingError('make', unfinished, cause)
    }
    this.files.push({ unfinished, name: file })
    return unfinished
  }

  /** All are on the disk, with their names, when it returns. */
  async finish(): Promise<void> {
    for (const { unfinished } of this.files) {
      try {
        const handle = await fs.promises.open(unfinished, 'r+')
        try {
          await handle.sync()
        } finally {
          await handle.close()
        }
      } catch (cause) {
        throw ioError('sync', unfinished, cause)
      }
    }
    try {
      for (const { unfinished, name } of this.files) fs.renameSync(unfinished, name)
      syncDirectory(this.directory)
    } catch (cause) {
      throw ioError('finish', this.directory, cause)
    }
  }

  /** Removes the files that were made: they are made again. */
  clear(): void {
    for (const file of this.files.splice(0)) {
      fs.rmSync(file.unfinished, { force: true })
      fs.rmSync(file.name, { force: true })
    }
  }

  /** Removes all that was made. */
  discard(): void {
    this.clear()
    if (this.made !== null) removeEmpty(this.directory, this.made)
  }
}

function topmostMissing(directory: string): string | null {
  if (fs.existsSync(directory)) return null
  const above = path.dirname(directory)
  return (above === directory ? null : topmostMissing(above)) ?? directory
}

/** From the directory up to the topmost one, as long as nobody has put anything there. */
function removeEmpty(directory: string, topmost: string): void {
  try {
    for (let at = directory; ; at = path.dirname(at)) {
      fs.rmdirSync(at)
      if (at === topmost) return
    }
  } catch (cause) {
    if (errnoOf(cause) === undefined) throw cause
  }
}
