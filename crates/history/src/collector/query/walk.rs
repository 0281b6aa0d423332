//! Every selector of an expression.

use promql_parser::parser::{Expr, VectorSelector};

/// Something that may read series.
pub(super) enum Reader<'a> {
    /// A selector of series.
    Selector(&'a mut VectorSelector),
    /// A function, whose arguments follow by themselves.
    Function(&'static str),
    /// Something that the parser alone does not make.
    Unknown,
}

/// Shows every reader of an expression, wherever it stands: also in the parameter of an aggregation, which the parser's
/// own visitor passes over.
pub(super) fn readers<E>(
    expression: &mut Expr,
    visit: &mut dyn FnMut(Reader<'_>) -> Result<(), E>,
) -> Result<(), E> {
    match expression {
        Expr::VectorSelector(selector) => visit(Reader::Selector(selector)),
        Expr::MatrixSelector(matrix) => visit(Reader::Selector(&mut matrix.vs)),
        Expr::Aggregate(aggregate) => {
            if let Some(parameter) = &mut aggregate.param {
                readers(parameter, visit)?;
            }
            readers(&mut aggregate.expr, visit)
        }
        Expr::Unary(unary) => readers(&mut unary.expr, visit),
        Expr::Binary(binary) => {
            readers(&mut binary.lhs, visit)?;
            readers(&mut binary.rhs, visit)
        }
        Expr::Paren(paren) => readers(&mut paren.expr, visit),
        Expr::Subquery(subquery) => readers(&mut subquery.expr, visit),
        Expr::Call(call) => {
            visit(Reader::Function(call.func.name))?;
            for argument in &mut call.args.args {
                readers(argument, visit)?;
            }
            Ok(())
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
        Expr::Extension(_) => visit(Reader::Unknown),
    }
}
