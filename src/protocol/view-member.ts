import { PHASE_REBUILD, PHASE_RESTORE, PHASE_RUN, PHASE_STOP } from '../memory/board.ts'
import { CHUNK_FREE } from '../memory/chunk-table.ts'
import type { SourceMemory } from '../memory/source-memory.ts'
import { BackupComponent, type ComponentParts, PARTS } from './component.ts'
import type { FinalPositions } from './rebuild.ts'
import type { Restore } from './restore.ts'
import type { Setting } from './setting.ts'
import { SourceIntake } from './source-intake.ts'

export interface AttachedMemory {
  readonly id: number
  readonly memory: SourceMemory
}

/**
 * A backup component through changes of view. When another one has died, everyone stops; acknowledged positions are final
 * then; each keeps exactly what was acknowledged and begins anew on restarted links; survivors give to the component in the
 * dead one's place what that held; then the view stands and taking goes on (figures 6A, 6B; [0054]-[0057]).
 */
export class ViewMember {
  component: BackupComponent
  private readonly setting: Setting
  private readonly parts: ComponentParts
  private readonly finalPositions: () => FinalPositions
  private readonly sources: AttachedMemory[]
  private restore: Restore | undefined
  private seen: number
  private restored = false

  /** @param fresh  it takes the place of a component that has died, and holds nothing yet */
  constructor(
    setting: Setting,
    parts: Partial<ComponentParts>,
    finalPositions: () => FinalPositions,
    fresh: boolean,
    sources: readonly AttachedMemory[] = []
  ) {
    this.setting = setting
    this.parts = { ...PARTS, ...parts }
    this.finalPositions = finalPositions
    this.sources = [...sources]
    this.seen = fresh ? -1 : setting.board.loadView()
    this.component = new BackupComponent(setting, parts)
  }

  /** Lets go of a source of which nothing is under way. */
  detach(intake: SourceIntake): void {
    this.component.detach(intake)
    const at = this.sources.findIndex(({ id }) => id === intake.id)
    if (at >= 0) this.sources.splice(at, 1)
  }

  attach(source: AttachedMemory, acknowledged: number): void {
    this.sources.push(source)
    this.component.attach(new SourceIntake(source.id, source.memory, this.setting.mirrors, acknowledged))
  }

  step(): number {
    const word = this.setting.board.loadView()
    if (word !== this.seen) {
      this.enter(word)
      return 1
    }
    const phase = word & 3
    if (phase === PHASE_RUN) return this.component.step()
    if (phase === PHASE_RESTORE) return this.restoreStep(word)
    return 0
  }

  private enter(word: number): void {
    const { board, slot } = this.setting
    this.seen = word
    switch (word & 3) {
      case PHASE_STOP:
        board.storeViewDone(slot, word)
        break
      case PHASE_REBUILD:
        this.rebuild()
        board.storeViewDone(slot, word)
        break
      case PHASE_RESTORE:
        this.restored = false
        this.restore = new this.parts.restore(this.setting, this.component.outs, board.loadSecured())
        return
      default:
        this.component.endRestore()
        this.restore = undefined
        return
    }
    this.setting.surroundings.ring()
  }

  private restoreStep(word: number): number {
    const restore = this.restore as Restore
    const work = this.component.restoreStep(restore)
    if (this.restored || !restore.isDone) return work
    this.restored = true
    this.setting.board.storeViewDone(this.setting.slot, word)
    this.setting.surroundings.ring()
    return work + 1
  }

  /** Begins anew on what was acknowledged. Nobody sends yet: the links can be restarted. */
  private rebuild(): void {
    const { board, slot, mirrors, outgoing, incoming, secondaries } = this.setting
    const secured = board.loadSecured()
    const final = this.finalPositions()
    // Whoever was not in a view that stood begins empty, also when what it was given before was nearly all.
    if (board.isFresh(slot)) this.forgetAll()
    for (const [peer, link] of outgoing.entries()) if (peer !== slot) link.restartSender()
    for (const [peer, link] of incoming.entries()) if (peer !== slot) link.restartHolder()
    for (const link of secondaries) link.restartSender()
    const setting = { ...this.setting, firstSet: (secured + 1) | 0 }
    this.component = new BackupComponent(setting, this.parts, (held) =>
      this.parts.cutBack(setting, held, secured, final)
    )
    board.storeQuiet(slot, secured)
    board.storeManifested(slot, secured)
    board.storeDiscarded(slot, secured)
    board.storePressure(slot, 0)
    const forming = board.loadForming()
    for (const { id, memory } of this.sources) {
      // One that was opened meanwhile has nothing under way.
      const acknowledged = final.get(id) ?? memory.loadReleased()
      this.component.attach(this.parts.resume(id, memory, mirrors, acknowledged, forming))
    }
  }

  private forgetAll(): void {
    const { chunks } = this.setting
    for (let chunk = 0; chunk < chunks.chunks; chunk++) chunks.storeState(chunk, CHUNK_FREE)
  }
}
