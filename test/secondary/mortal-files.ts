import fs from 'node:fs'
import path from 'node:path'
import { vi } from 'vitest'

/** Thrown in the middle of what a thread does: nothing after it happens. */
export class Killed extends Error {}

const NOBODY = -1
const WITHIN_WRITE = 'write'
const realWrite = fs.writeSync

/**
 * The places at which one secondary component's thread may die: before each call that changes a file or makes it durable,
 * within each write, and wherever else `point` is called. Also knows what would not be on the disk if the power failed now.
 */
export class MortalFiles {
  points = 0
  /** It dies at these, counted from 1; a torn one comes in the middle of a write and counts only those. */
  dieAt = Number.POSITIVE_INFINITY
  torn = false
  deaths = 0
  onDeath: ((place: string) => void) | undefined
  /** Writes by the component, counted from 1: from this one on so many find no room, after half of their bytes. */
  writes = 0
  fullAt = Number.POSITIVE_INFINITY
  fullFor = 1
  refused = 0
  /** A component is about to write to a file. */
  onWrite: ((file: string) => void) | undefined
  private readonly victim: number
  private running = NOBODY
  private dead = false
  private readonly open = new Map<number, { path: string; owner: number }>()
  /** Files with bytes that were not synced, and those whose names were not. */
  private readonly unsynced = new Set<string>()
  private readonly unnamed = new Set<string>()

  /** @param victim  the component that may die */
  constructor(victim: number) {
    this.victim = victim
  }

  /** Runs what a component does. False when it has died in it; what it had open is closed then, as when a thread exits. */
  run(component: number, work: () => void): boolean {
    this.running = component
    try {
      work()
      return true
    } catch (error) {
      if (!this.dead) throw error
      this.dead = false
      this.deaths++
      for (const [fd, { owner }] of this.open) if (owner === component) fs.closeSync(fd)
      return false
    } finally {
      this.running = NOBODY
    }
  }

  /** @param place  what it was about to do */
  point(place = ''): void {
    const inWrite = place === WITHIN_WRITE
    // Also in `catch` and `finally`: the dead run none of them.
    if (this.dead) throw new Killed()
    if (this.running !== this.victim || (this.torn && !inWrite)) return
    if (++this.points !== this.dieAt) return
    this.dead = true
    this.onDeath?.(place)
    if (!this.torn) throw new Killed()
  }

  isDurable(file: string): boolean {
    return !this.unsynced.has(file) && !this.unnamed.has(file)
  }

  /** From now on; `vi.restoreAllMocks` ends it. */
  watch(): void {
    // Another one may be watching still.
    vi.restoreAllMocks()
    const { openSync, closeSync, writeSync, writevSync, unlinkSync, renameSync, ftruncateSync, rmSync } = fs
    const calls = fs as unknown as Record<string, (...args: never[]) => unknown>
    const replaced = (name: string) => vi.spyOn(calls, name)
    replaced('openSync').mockImplementation((file: string, flags: string | number) => {
      this.point()
      const isNew = flags !== 'r' && !fs.existsSync(file)
      if (isNew && this.isFull()) throw noSpace('open')
      const fd = openSync(file, flags)
      this.open.set(fd, { path: file, owner: this.running })
      if (isNew) this.unnamed.add(file)
      return fd
    })
    replaced('closeSync').mockImplementation((fd: number) => {
      if (this.dead) throw new Killed()
      this.open.delete(fd)
      closeSync(fd)
    })
    replaced('writevSync').mockImplementation((fd: number, views: Uint8Array[], position: number) =>
      this.write(fd, Buffer.concat(views), position, () => writevSync(fd, views, position))
    )
    replaced('writeSync').mockImplementation(
      (fd: number, from: Uint8Array, offset: number, length: number, position: number) =>
        this.write(fd, from.subarray(offset, offset + length), position, () =>
          writeSync(fd, from, offset, length, position)
        )
    )
    replaced('ftruncateSync').mockImplementation((fd: number, length: number) => {
      this.point()
      ftruncateSync(fd, length)
      this.unsynced.add(this.pathOf(fd))
    })
    // Not really synced: it would only cost time.
    for (const sync of ['fsyncSync', 'fdatasyncSync']) {
      replaced(sync).mockImplementation((fd: number) => {
        this.point()
        const file = this.pathOf(fd)
        this.unsynced.delete(file)
        for (const name of this.unnamed) if (path.dirname(name) === file) this.unnamed.delete(name)
      })
    }
    replaced('renameSync').mockImplementation((from: string, to: string) => {
      this.point()
      renameSync(from, to)
      this.unnamed.add(to)
      this.unnamed.delete(from)
      // What is under the name now is the other file.
      if (this.unsynced.delete(from)) this.unsynced.add(to)
      else this.unsynced.delete(to)
    })
    replaced('unlinkSync').mockImplementation((file: string) => {
      this.point()
      unlinkSync(file)
    })
    replaced('rmSync').mockImplementation((file: string, options: fs.RmOptions) => {
      if (this.dead) throw new Killed()
      rmSync(file, options)
    })
  }

  private write(fd: number, bytes: Uint8Array, position: number, whole: () => number): number {
    this.point(WITHIN_WRITE)
    if (this.running !== NOBODY) this.onWrite?.(this.pathOf(fd))
    this.unsynced.add(this.pathOf(fd))
    if (this.isFull()) {
      realWrite(fd, bytes, 0, bytes.length >> 1, position)
      throw noSpace('write')
    }
    if (!this.dead) return whole()
    realWrite(fd, bytes, 0, bytes.length >> 1, position)
    throw new Killed()
  }

  private isFull(): boolean {
    if (this.running !== this.victim) return false
    this.writes++
    if (this.writes < this.fullAt || this.refused >= this.fullFor) return false
    this.refused++
    return true
  }

  private pathOf(fd: number): string {
    return this.open.get(fd)?.path ?? ''
  }
}

function noSpace(syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`ENOSPC: no space left on device, ${syscall}`), { code: 'ENOSPC', syscall })
}
