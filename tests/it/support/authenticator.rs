//! What an authenticator app shows.

use super::run;

/// The code of the app that knows `secret` (base32), so many seconds from now, or before: RFC 6238, by Python's `hmac`.
pub(crate) fn code(secret: &str, seconds: i64) -> String {
    let script = "import base64, hmac, struct, sys, time\n\
                  key = base64.b32decode(sys.argv[1])\n\
                  step = (int(time.time()) + int(sys.argv[2])) // 30\n\
                  mac = hmac.digest(key, struct.pack('>Q', step), 'sha1')\n\
                  at = mac[-1] & 15\n\
                  print('%06d' % ((struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000))";
    run("/usr/bin/python3", &["-c", script, secret, &seconds.to_string()], "").success().trim().to_owned()
}
