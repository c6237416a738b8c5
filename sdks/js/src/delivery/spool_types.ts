/** A file on disk that holds what was not acknowledged yet. */

/** One line of a file of the spool. */
export interface SpoolLine {
  readonly file: object;
  readonly offset: number;
  readonly length: number;
}

export interface Spool {
  /** Writes lines; undefined when the spool is full or the disk refuses. Synchronous: afterwards a crash of the process loses nothing. */
  write(lines: string[]): SpoolLine[] | undefined;
  /** The text of a line whose copy in memory was given up. */
  read(line: SpoolLine): string | undefined;
  /** Acknowledged, or refused for good: a file whose lines are all done is deleted. */
  done(line: SpoolLine): void;
  /** Lines that processes left which are gone. */
  adopt(): { line: SpoolLine; text: string }[];
  close(): void;
}
