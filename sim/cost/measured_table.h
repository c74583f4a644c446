// Measured times of operator pieces on one device, read from CSV.
//
// Columns: hardware,kind,type,phase,extents,window,time_us
//   kind     conv2d, linear, ...: to_string(OpKind)
//   type     fp32, ...: to_string(DataType)
//   phase    forward, backward_input, backward_weight, or backward for both gradients together
//   extents  of the piece, per iteration dimension, e.g. 64x64x55x55x3 for a convolution
//   window   kernel and stride as 11x11s4 for convolution and pooling, - for the others
//
// A piece that is in the table costs what was measured. A piece that lies between two rows which
// differ from it in one dimension only is interpolated between the nearest two of that sweep, the
// first such dimension in order; the result is between the two times. Nothing is extrapolated.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/csv.h"
#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/cost/piece.h"
#include "sim/cost/work.h"
#include "sim/model/op.h"

namespace soapbox {

struct MeasuredPiece {
  Piece piece;  // of an elementwise operator, inputs and weights are not known
  Duration time;
};

class MeasuredTable {
 public:
  struct Figure {
    Duration time;
    bool interpolated = false;
  };

  // Refuses rows of other hardware, unknown names, times that are not positive, and duplicates.
  static Result<MeasuredTable> read(const std::string& path, const std::string& hardware);
  static Result<MeasuredTable> parse(std::string_view text, const std::string& file,
                                     const std::string& hardware);

  std::optional<Figure> find(const Operator& op, const Extents& extents, Phase phase) const;
  size_t size() const { return by_dim_[0].size(); }
  const std::vector<MeasuredPiece>& pieces() const { return pieces_; }  // in the file's order

 private:
  struct Entry {
    Routine routine{};
    Extents extents{};
    Duration time;
  };
  // Sorted by routine, the extents other than the index's dimension, that dimension: so a sweep
  // over it is contiguous.
  std::array<std::vector<Entry>, kMaxDims> by_dim_;
  std::vector<MeasuredPiece> pieces_;

  static Result<MeasuredTable> from_csv(const CsvTable& csv, const std::string& hardware);
  static bool before(const Entry& a, const Entry& b, size_t dim);
  static bool same_sweep(const Entry& a, const Entry& b, size_t dim);
};

}  // namespace soapbox
