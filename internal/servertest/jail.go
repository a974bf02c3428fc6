//go:build linux

package servertest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// jail is a copy of this system with further packages, for the processes in it: it has its own
// file system, whose changes are lost at its end, and its own processes, which end with it. It
// shares the network of the machine.
type jail struct {
	dir    string // shared with the jail, under the same path
	holder *exec.Cmd
	stdin  io.Closer

	mu        sync.Mutex
	listeners []net.Listener
}

// enter is the script of the first process of a jail. Its arguments are the directory of the
// jail and that of the packages. The process ends with its standard input, and so with the
// test.
const enter = `
set -e
mount --make-rprivate /
mkdir "$1/jail"
mount -t tmpfs -o mode=755 tmpfs "$1/jail"
cd "$1/jail"
mkdir changes work root
cp -a "$2/." changes
mount -t overlay -o "lowerdir=/,upperdir=$PWD/changes,workdir=$PWD/work" overlay root
mount --rbind /dev root/dev
mount -t proc proc root/proc
mkdir -p "root$1"
mount --bind "$1" "root$1"
exec chroot root sh -c 'echo ready; read line'
`

// newJail makes a jail with the files below packages. dir is shared between the jail and the
// test. It needs root.
func newJail(dir, packages string) (*jail, error) {
	j := &jail{dir: dir}
	j.holder = exec.Command("sh", "-c", enter, "sh", dir, packages)
	j.holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	var errs strings.Builder
	j.holder.Stderr = &errs
	stdin, err := j.holder.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := j.holder.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := j.holder.Start(); err != nil {
		return nil, fmt.Errorf("a mount namespace needs root: %w", err)
	}
	j.stdin = stdin
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		j.close()
		return nil, fmt.Errorf("the file system of the server cannot be mounted: %s", &errs)
	}
	return j, nil
}

// command returns a program that runs in the jail.
func (j *jail) command(argv ...string) *exec.Cmd {
	args := []string{"--target=" + strconv.Itoa(j.holder.Process.Pid), "--mount", "--pid", "--root", "--wdns=/"}
	cmd := exec.Command("nsenter", append(args, argv...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C"}
	return cmd
}

// sh runs a script in the jail. It stops at the first command that fails.
func (j *jail) sh(script string) error {
	if out, err := j.command("sh", "-ec", script).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %.2000s", err, out)
	}
	return nil
}

// spawn starts a program in the jail, which may run until the jail ends. Its output goes into
// the file that Server.Log reads.
func (j *jail) spawn(argv ...string) error {
	log, err := os.OpenFile(filepath.Join(j.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := j.command(argv...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait()
	return nil
}

// serve runs a program in the jail for each connection to an address, as inetd does.
func (j *jail) serve(addr string, argv ...string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.listeners = append(j.listeners, l)
	j.mu.Unlock()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			socket, err := conn.(*net.TCPConn).File()
			conn.Close()
			if err != nil {
				continue
			}
			cmd := j.command(argv...)
			cmd.Stdin, cmd.Stdout = socket, socket
			if cmd.Start() == nil {
				go cmd.Wait()
			}
			socket.Close()
		}
	}()
	return nil
}

// close ends all processes of the jail.
func (j *jail) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.listeners {
		l.Close()
	}
	j.stdin.Close()
	j.holder.Process.Kill()
	j.holder.Wait()
}
