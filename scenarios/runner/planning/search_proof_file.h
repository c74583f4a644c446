// The proof of a whole search as a JSON file: what `soapbox search --method miqp --certificate`
// writes and `--check` reads.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "results/table.h"
#include "scenarios/runner/options.h"
#include "sim/base/result.h"
#include "strategies/uniap/search_proof.h"

namespace soapbox::runner {

using SearchProof = std::vector<strategies::uniap::CellProof>;

// {"format": "soapbox miqp search certificate 1", "cells": {"pp 2, 4 micro-batches": .., ..}}, each
// cell a certificate as in certificate_file.h, or null where nothing fits.
std::string search_proof_to_json(const SearchProof& proof);
Result<SearchProof> search_proof_from_json(std::string_view text, const std::string& file);
Result<SearchProof> load_search_proof(const std::string& path);

struct ProofOptions {
  bool make = false;                 // a proof of the answer
  std::optional<SearchProof> check;  // this one instead of searching
};
// --certificate and --check, which are errors where there are no proofs.
Status read_proof_options(const Arguments& arguments, bool has_proofs, ProofOptions& options);

// What a check says.
std::string render(const strategies::uniap::SearchProofReport& report, results::Format format);

}  // namespace soapbox::runner
