//go:build linux

package servertest

import (
	"bytes"
	"fmt"
	"strings"
)

func startCourier(s *Server) error {
	if err := s.makeMaildirs(); err != nil {
		return err
	}
	// The installation scripts of the packages do the same, apart from the certificate.
	return s.sh(fmt.Sprintf(`
id courier >/dev/null 2>&1 || useradd --system courier
mkdir -p /var/lib/courier /run/courier/authdaemon
chown courier: /var/lib/courier /run/courier/authdaemon
cat %[1]s/key.pem %[1]s/cert.pem >/etc/courier/pop3d.pem
printf 'ADDRESS=127.0.0.1\nPORT=%[2]s\n' >>/etc/courier/pop3d
printf 'SSLADDRESS=127.0.0.1\nSSLPORT=%[3]s\nTLS_DHPARAMS=\nTLS_TRUSTCERTS=\n' >>/etc/courier/pop3d-ssl
chown -R courier: /etc/courier
authdaemond start >/dev/null 2>&1
/usr/lib/courier/pop3d start >/dev/null 2>&1
/usr/lib/courier/pop3d-ssl start >/dev/null 2>&1
`, s.dir, port(s.POP3), port(s.POP3S)))
}

func startCyrus(s *Server) error {
	err := s.sh(fmt.Sprintf(`
id cyrus >/dev/null 2>&1 || useradd --system --gid mail --home-dir /var/spool/cyrus --shell /bin/sh cyrus
mkdir -p /var/lib/cyrus /var/spool/cyrus/mail /var/spool/cyrus/news /var/spool/news /var/spool/sieve /run/cyrus/socket /run/cyrus/proc /run/cyrus/lock
cp %[1]s/cert.pem %[1]s/key.pem /etc/ssl/
cat >>/etc/imapd.conf <<END
popminpoll: 0
autocreate_post: yes
duplicatesuppression: no
sasl_mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256
sasl_sasldb_path: /var/lib/cyrus/sasldb2
servername: localhost
tls_server_cert: /etc/ssl/cert.pem
tls_server_key: /etc/ssl/key.pem
END
sed -i '/^popminpoll: 1/d; /^tls_client_ca_dir/d' /etc/imapd.conf
cat >/etc/cyrus.conf <<END
START {
	recover		cmd="/usr/sbin/cyrus ctl_cyrusdb -r"
}
SERVICES {
	pop3		cmd="pop3d" listen="127.0.0.1:%[2]s" prefork=0 maxchild=50
	pop3s		cmd="pop3d -s" listen="127.0.0.1:%[3]s" prefork=0 maxchild=50
	lmtpunix	cmd="lmtpd" listen="/run/cyrus/socket/lmtp" prefork=0 maxchild=20
}
EVENTS {
	checkpoint	cmd="/usr/sbin/cyrus ctl_cyrusdb -c" period=30
}
END
for user in %[4]s; do echo %[5]s | saslpasswd2 -p -c -f /var/lib/cyrus/sasldb2 -u localhost $user; done
chown -R cyrus:mail /var/lib/cyrus /var/spool/cyrus /var/spool/news /var/spool/sieve /run/cyrus /etc/ssl/key.pem /etc/ssl/cert.pem
su cyrus -c '/usr/sbin/cyrus makedirs --cleansquat'
`, s.dir, port(s.POP3), port(s.POP3S), strings.Join(Users(), " "), Password))
	if err != nil {
		return err
	}
	if err := s.spawn("/usr/lib/cyrus/bin/master", "-D"); err != nil {
		return err
	}
	return s.answers(s.POP3) // the socket for LMTP exists by then
}

// deliverToCyrus delivers by LMTP. The first message makes the mailbox of its user.
func deliverToCyrus(s *Server, user, name string, text []byte) error {
	cmd := s.command("su", "cyrus", "-c", "/usr/lib/cyrus/bin/deliver "+user)
	cmd.Stdin = bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("deliver: %w: %s", err, out)
	}
	return nil
}
