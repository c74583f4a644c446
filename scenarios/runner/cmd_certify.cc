// soapbox certify: whether a certificate proves what it says, without the solver.
#include "scenarios/runner/commands.h"
#include "scenarios/runner/planning/certificate_file.h"
#include "scenarios/runner/planning/instance_file.h"
#include "scenarios/runner/record.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/str.h"
#include "strategies/miqp/certify.h"
#include "strategies/miqp/stopwatch.h"

namespace soapbox::runner {
namespace {

constexpr int64_t kUsualLabels = 20000000;

Result<miqp::Certificate> load_certificate(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return certificate_from_json(*text, path);
}

Result<CommandResult> run(const Arguments& arguments, const Console& /*console*/) {
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const auto labels = arguments.whole_number("label-limit", 1, int64_t{1} << 40);
  if (!labels) return labels.error();
  const Result<miqp::Instance> instance = load_instance(arguments.positional()[0]);
  if (!instance) return instance.error();
  const std::string& path = arguments.positional()[1];
  const Result<miqp::Certificate> certificate = load_certificate(path);
  if (!certificate) return certificate.error();
  const miqp::Stopwatch stopwatch(1e9);
  const Result<miqp::CertifyReport> report =
      miqp::certify(*instance, *certificate, static_cast<uint64_t>(labels->value_or(kUsualLabels)));
  if (!report) {
    Error error = report.error();
    error.message = str_cat("the certificate does not hold: ", error.message);
    error.where = {path};
    return error;
  }
  const auto time = [&](int64_t units) {
    return units >= miqp::kUnlimited ? results::Cell()
                                     : results::Cell(miqp::real_time(*instance, units));
  };
  Record record;
  record.add("holds", true);
  record.add("proven", report->proven);
  record.add("objective", time(certificate->objective));
  record.add("bound", time(certificate->bound));
  record.add("method", std::string(to_string(certificate->method)));
  record.add("leaves", static_cast<int64_t>(report->leaves));
  record.add("intervals", static_cast<int64_t>(report->intervals));
  record.add("entries", static_cast<int64_t>(report->entries));
  record.add("labels", static_cast<int64_t>(report->labels));
  record.add("cpu_s", stopwatch.elapsed_s());
  return CommandResult{record.render(*format)};
}

}  // namespace

CommandRow certify_command() {
  return {"certify", "Checks the proof that 'soapbox solve --certificate' wrote.",
          Syntax{.command = "certify",
                 .positional = "INSTANCE.json CERTIFICATE.json",
                 .min_positional = 2,
                 .max_positional = 2,
                 .options = {{"label-limit", "N",
                              "refuse proofs that take more partial plans (default 20000000)"},
                             format_option()},
                 .details = kCertificateKeys},
          run};
}

}  // namespace soapbox::runner
