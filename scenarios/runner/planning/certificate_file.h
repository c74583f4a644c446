// Certificates of UniAP's program as JSON files: what `soapbox solve --certificate` writes and
// `soapbox certify` reads.
#pragma once

#include <string>
#include <string_view>

#include "sim/base/json_object.h"
#include "sim/base/result.h"
#include "strategies/miqp/certificate.h"

namespace soapbox::runner {

// The keys of a certificate, for the help.
extern const std::string_view kCertificateKeys;

std::string certificate_to_json(const miqp::Certificate& certificate);

// Reads strictly: unknown and missing keys, numbers out of range and a digest that does not fit
// are refused. Whether the certificate holds is for miqp::certify() to say.
Result<miqp::Certificate> certificate_from_json(std::string_view text, const std::string& file);

// The same of an object inside another.
Result<miqp::Certificate> read_certificate(JsonObject json);

}  // namespace soapbox::runner
