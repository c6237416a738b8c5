//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package llmlab

import (
	"os"
	"syscall"
)

const canLock = true

// lockFile holds the file for this process; false when another one does.
func lockFile(file *os.File) bool {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
