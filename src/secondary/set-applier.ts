import { Applier } from './applier.ts'
import type { FloatTable } from './float-table.ts'
import { Fold } from './fold.ts'
import type { Images } from './images.ts'
import type { SumKeeper } from './sum-keeper.ts'
import type { UndoWriter } from './undo.ts'

/** One slice of folding. */
const SLICE_FRAMES = 1 << 16
const NOT_BEGUN = -1

/** A part of a set in a file that is open. */
export interface OpenPart {
  readonly frames: FloatTable
  readonly fd: number
  readonly path: string
}

/**
 * Brings one component's part of a set into the images, a slice at a time; or its parts of several sets that are applied as
 * one, one after the other: folding never crosses sets. With history, what all of them will overwrite is saved first, as one
 * undo part: it must say how the images were before the first of them. A slice that failed can be tried again.
 */
export class SetApplier {
  /** Bytes that the last set brought into the images. */
  writtenBytes = 0
  private readonly applier: Applier
  private readonly volumes: number
  private readonly undo: UndoWriter | null
  private set = 0
  private parts: readonly OpenPart[] = []
  private isRedone = false
  private isSaving = false
  /** Which of the parts is in hand. */
  private part = NOT_BEGUN
  /** While saving: it is folded, and its pieces are being saved. */
  private isFolded = false
  /** By part: each is folded once, for its undo and for itself. */
  private readonly folds: Fold[] = []

  /** @param keeper  of the checksums; null: they are not kept  @param undo  null: no history is kept */
  constructor(images: Images, volumes: number, keeper: SumKeeper | null, undo: UndoWriter | null) {
    this.applier = new Applier(images, volumes, keeper)
    this.volumes = volumes
    this.undo = undo
  }

  /**
   * @param set  under which their undo is found: the last of them
   * @param isRedone  some of it may be in the images already: a crash came between
   */
  begin(set: number, parts: readonly OpenPart[], isRedone: boolean): void {
    this.set = set
    this.isRedone = isRedone
    this.parts = parts
    this.writtenBytes = 0
    const changesSomething = parts.some(({ frames }) => frames.length > 0)
    // An undo part that is whole was saved before a crash: the images may hold some of the set already.
    this.isSaving = this.undo !== null && changesSomething && !this.undo.isWhole(set)
    this.part = NOT_BEGUN
    if (!this.isSaving) this.beginApplying(false)
  }

  /** True when all of it is durable in the images. */
  applySome(): boolean {
    if (this.isSaving && this.undo !== null) {
      this.saveSome(this.undo)
      return false
    }
    if (this.part === this.parts.length) return true
    if (!this.applier.applySome()) return false
    this.writtenBytes += this.applier.writtenBytes
    this.part++
    return !this.beginPart()
  }

  close(): void {
    this.undo?.close()
  }

  private saveSome(undo: UndoWriter): void {
    try {
      this.saveStep(undo)
    } catch (cause) {
      // Part of it may be written: it begins again.
      this.part = NOT_BEGUN
      throw cause
    }
  }

  private saveStep(undo: UndoWriter): void {
    const fold = this.folds[this.part]
    if (this.part === NOT_BEGUN) {
      undo.begin(this.set)
      this.part = 0
      this.beginFold()
    } else if (fold === undefined || this.part === this.parts.length) {
      undo.end()
      this.beginApplying(true)
    } else if (!this.isFolded) {
      this.isFolded = fold.resolve(SLICE_FRAMES)
      if (this.isFolded) undo.save(fold)
    } else if (undo.saveSome()) {
      this.part++
      this.beginFold()
    }
  }

  private beginFold(): void {
    this.isFolded = false
    const part = this.parts[this.part]
    if (part === undefined) return
    const fold = this.folds[this.part] ?? new Fold()
    this.folds[this.part] = fold
    fold.begin(part.frames, this.volumes)
  }

  private beginApplying(areFolded: boolean): void {
    this.isSaving = false
    this.isFolded = areFolded
    this.part = 0
    this.beginPart()
  }

  /** False when there is no more. */
  private beginPart(): boolean {
    const part = this.parts[this.part]
    if (part === undefined) return false
    const fold = this.isFolded ? this.folds[this.part] : undefined
    if (fold !== undefined) this.applier.beginFolded(fold, part.fd, part.path, this.isRedone)
    else this.applier.begin(part.frames, part.fd, part.path, this.isRedone)
    return true
  }
}
