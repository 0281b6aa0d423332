//! What a store says when it fails, told once and not at every look.

/// Whether both say the same but for what differs each time: numbers of requests, ports, moments.
///
/// What has digits in it is passed over, except for numbers of three digits, by which HTTP says what is wrong.
#[must_use]
pub fn are_alike(one: &str, other: &str) -> bool {
    same_each_time(one).eq(same_each_time(other))
}

fn same_each_time(said: &str) -> impl Iterator<Item = &str> {
    let words = said.split(|it: char| it.is_whitespace() || it == ',');
    words.filter(|word| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        digits == 0 || (digits == 3 && word.len() == 3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_request_is_alike_and_another_trouble_is_not() {
        const REFUSED: &str = "GetBackups at 10.140.100.95:15999: Unknown: operation error S3: HeadBucket, https response \
                               error StatusCode: 403, RequestID: 47R3BA5PVPFD8II0, HostID: CYzjaM/Z9oUyAwEoyRIT483=, api \
                               error Forbidden: Forbidden";
        let again = REFUSED.replace("47R3BA5PVPFD8II0", "G64LW7W5HAB5GESG");
        let again = again.replace("CYzjaM/Z9oUyAwEoyRIT483=", "oJHS6KGa/u3ArJbUK0d=");
        let gone = REFUSED.replace("403", "404");
        let by_port = |port: u16| format!("read udp 10.1.0.7:{port}->10.2.0.10:53: i/o timeout");
        let table = [
            (REFUSED, &*again, true),
            (REFUSED, &*gone, false),
            (REFUSED, "no answer within 10 s", false),
            (&by_port(40_001), &by_port(53_210), true),
        ];
        for (one, other, expected) in table {
            assert_eq!(are_alike(one, other), expected, "{one}\n{other}");
        }
    }
}
