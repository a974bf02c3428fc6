//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Addresses of the two ends of the link, from the block for documentation (RFC 5737).
const (
	serverAddr = "192.0.2.1"
	clientAddr = "192.0.2.2"
)

// Settings of all connections of the benchmark. Packets are as large as on the Internet: a
// sender starts with ten of them, and with larger ones slow start would hardly show. A window
// of 32 MiB does not limit a connection of 1 Gbit/s at 100 ms; the kernel's 4 to 6 MiB would.
// tcp_no_metrics_save: what TCP learned in one connection must not help the next.
const (
	tunDevice   = "tun0"
	linkMTU     = 1500
	linkPackets = "10000" // that may wait for the link
	tcpBuffer   = "4096 131072 33554432"
)

// namespace is a network namespace. It has no name, so the kernel removes it when its last
// user ends, even if the program is killed. The zero namespace is that of the program itself.
type namespace struct{ file *os.File }

// newNamespace makes a namespace whose loopback interface is up. It needs CAP_SYS_ADMIN.
func newNamespace() (namespace, error) {
	var n namespace
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("network namespaces are not allowed, root with CAP_SYS_ADMIN and CAP_NET_ADMIN is needed: %w", err)
		}
		var err error
		if n.file, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		if err := tuneTCP(); err != nil {
			return err
		}
		return ip("link set lo up")
	})
	return n, err
}

// do runs f on a thread in the namespace. Sockets and processes that f makes on its own
// goroutine belong to the namespace.
func (n namespace) do(f func() error) error {
	if n.file == nil {
		return f()
	}
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("setns: %w", err)
		}
		return f()
	})
}

// close releases the namespace.
func (n namespace) close() {
	if n.file != nil {
		n.file.Close()
	}
}

// onThread runs f on a thread that ends after it.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, so the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// tuneTCP applies the settings above in the namespace of the thread.
func tuneTCP() error {
	for name, value := range map[string]string{"tcp_rmem": tcpBuffer, "tcp_wmem": tcpBuffer, "tcp_no_metrics_save": "1"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// ip runs ip(8) in the namespace of the thread.
func ip(args string) error {
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w\n%s", args, err, out)
	}
	return nil
}

// network is two namespaces with a delaying link between them. The server runs in far, at
// serverAddr. Clients run in near, or in far for no delay.
type network struct {
	near, far namespace
	link      *link
}

// startNetwork makes both namespaces and joins them.
func startNetwork() (n *network, err error) {
	n = new(network)
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	if n.far, err = newNamespace(); err != nil {
		return n, err
	}
	if n.near, err = newNamespace(); err != nil {
		return n, err
	}
	server, err := n.far.tun(serverAddr, clientAddr)
	if err != nil {
		return n, err
	}
	client, err := n.near.tun(clientAddr, serverAddr)
	if err != nil {
		server.Close()
		return n, err
	}
	n.link = startLink(server, client, linkMTU)
	return n, nil
}

// at returns the namespace for a client with that round trip time, and the address of the
// server there.
func (n *network) at(rtt time.Duration) (namespace, net.IP) {
	if rtt == 0 {
		return n.far, net.IPv4(127, 0, 0, 1)
	}
	n.link.setRTT(rtt)
	return n.near, net.ParseIP(serverAddr)
}

// close ends the link and releases the namespaces.
func (n *network) close() {
	if n.link != nil {
		n.link.close()
	}
	n.near.close()
	n.far.close()
}

// tun makes a point-to-point interface in the namespace and returns the file to read and
// write its packets.
func (n namespace) tun(own, peer string) (*os.File, error) {
	var file *os.File
	err := n.do(func() (err error) {
		if file, err = openTUN(); err != nil {
			return err
		}
		for _, args := range []string{
			fmt.Sprintf("link set %s mtu %d txqueuelen %s up", tunDevice, linkMTU, linkPackets),
			fmt.Sprintf("address add %s peer %s dev %s", own, peer, tunDevice),
		} {
			if err := ip(args); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && file != nil {
		file.Close()
	}
	return file, err
}

// openTUN makes the interface tunDevice in the namespace of the thread.
func openTUN() (*os.File, error) {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	request, err := unix.NewIfreq(tunDevice)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: a TUN device needs CAP_NET_ADMIN: %w", path, err)
	}
	// Only now: without an interface the file is not pollable.
	return os.NewFile(uintptr(fd), path), nil
}
